"""FasterVQA, Wu et al. 2023: DOVER's technical network, trained alone."""

from pathlib import Path

import torch
from torch import Tensor, nn

from star.evaluation.networks.dover import QualityHead
from star.evaluation.networks.video_swin import VideoSwin
from star.utils.state_dicts import load_strict
from star.utils.tensor_files import read_state


class FasterVQANetwork(nn.Module):
    """Scores clips at each position; the mean of the map is the raw score.

    Parameters have the names and shapes of the published FAST_VQA_3D_1_1.pth.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fragments_backbone = VideoSwin()
        self.vqa_head = QualityHead()

    def forward(self, clips: Tensor) -> Tensor:
        """Score distortions.

        Args:
            clips: spliced fragments, (N, 3, T, H, W), normalized; trained
                with 8 x 4 frames of 224 x 224.

        Returns:
            (N, 1, T / 2, H / 32, W / 32).
        """
        device = self.vqa_head.fc_last.weight.device
        return self.vqa_head(self.fragments_backbone(clips.to(device)))


def load_faster_vqa(path: str | Path) -> FasterVQANetwork:
    """Build the network from the published file.

    Args:
        path: FAST_VQA_3D_1_1.pth, its tensors at the top or under
            `state_dict`.

    Returns:
        In evaluation mode, without gradients for its parameters.

    Raises:
        ValueError: the file is damaged or does not fit.
    """
    state = read_state(path)
    with torch.device('meta'):  # initial values are not needed
        network = FasterVQANetwork()
    load_strict(network, state, path)
    return network.requires_grad_(False).eval()
