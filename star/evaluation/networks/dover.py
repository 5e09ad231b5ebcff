"""DOVER, Wu et al. 2023: a technical and an aesthetic quality network."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from star.evaluation.networks.convnext3d import ConvNeXt3D
from star.evaluation.networks.video_swin import VideoSwin
from star.utils.state_dicts import load_strict
from star.utils.tensor_files import read_state

_DIM = 768


class DOVERNetwork(nn.Module):
    """Scores clips at each position; the mean of the map is the raw score.

    Parameters have the names and shapes of the published DOVER.pth.
    """

    def __init__(self) -> None:
        super().__init__()
        self.technical_backbone = VideoSwin()
        self.aesthetic_backbone = ConvNeXt3D()
        self.technical_head = QualityHead()
        self.aesthetic_head = QualityHead()

    def forward(
        self, technical: Tensor, aesthetic: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Score both views.

        Args:
            technical: see `score_technical`.
            aesthetic: see `score_aesthetic`.
        """
        return self.score_technical(technical), self.score_aesthetic(aesthetic)

    def score_technical(self, clips: Tensor) -> Tensor:
        """Score distortions.

        Args:
            clips: spliced fragments, (N, 3, T, H, W), normalized; trained
                with 32 frames of 224 x 224.

        Returns:
            (N, 1, T / 2, H / 32, W / 32).
        """
        return self._score(clips, self.technical_backbone, self.technical_head)

    def score_aesthetic(self, clips: Tensor) -> Tensor:
        """Score content and composition.

        Args:
            clips: whole frames, made small, (N, 3, T, H, W), normalized.

        Returns:
            (N, 1, T / 2, H / 32, W / 32).
        """
        return self._score(clips, self.aesthetic_backbone, self.aesthetic_head)

    @staticmethod
    def _score(clips: Tensor, backbone: nn.Module, head: nn.Module) -> Tensor:
        device = next(head.parameters()).device
        return head(backbone(clips.to(device)))


def load_dover(path: str | Path) -> DOVERNetwork:
    """Build the network from the published file.

    Args:
        path: DOVER.pth, its tensors at the top or under `state_dict`, or
            `.safetensors` with the same names.

    Returns:
        In evaluation mode, without gradients for its parameters.

    Raises:
        ValueError: the file is damaged or does not fit, such as
            DOVER-Mobile, which is another network.
    """
    state = read_state(path)
    if any(name.endswith('.grn.gamma') for name in state):
        raise ValueError(
            f'`weights`: {path} is DOVER-Mobile, which is another network; '
            'give DOVER.pth'
        )
    with torch.device('meta'):  # initial values are not needed
        network = DOVERNetwork()
    network.to_empty(device='cpu')
    load_strict(network, state, str(path))
    return network.requires_grad_(False).eval()


class QualityHead(nn.Module):
    """Scores features at each position."""

    def __init__(self) -> None:
        super().__init__()
        self.fc_hid = nn.Conv3d(_DIM, 64, 1)
        self.fc_last = nn.Conv3d(64, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map features, (N, 768, T, H, W), to scores, (N, 1, T, H, W)."""
        return self.fc_last(F.gelu(self.fc_hid(x)))
