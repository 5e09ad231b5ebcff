"""Metrics that the package pyiqa computes; see the extra `pyiqa`."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn

from star.evaluation.base import VideoMetric
from star.evaluation.functional.clips import crop_border
from star.evaluation.weight_files import FILES
from star.registry import METRICS
from star.utils import compat
from star.utils.checks import check_least
from star.utils.state_dicts import load_strict
from star.utils.tensor_files import read_state
from star.utils.weight_files import choose_file


@METRICS.register_module()
class CLIPIQA(VideoMetric):
    """Quality by the likeness to words, Wang et al. 2023, mean over frames.

    It needs no ground truth. It is pyiqa's `clipiqa`: the mean over five
    pairs of words, CLIP's ResNet50 without position embeddings.

    Args:
        weights: CLIP's RN50.pt; None searches for it, and downloads it if
            need be.
        weights_dir: folder that is searched first.
        border: pixels to leave out at each side.
        frames: see VideoMetric.
        every: see VideoMetric.
        datasets: see VideoMetric.
        device: where the network runs.

    Raises:
        ImportError: pyiqa is not installed.
        ValueError: a wrong option, or weights that are missing or wrong.
    """

    higher_is_better = True
    needs_gt = False
    options = ('border', 'pyiqa')

    def __init__(
        self,
        weights: str | None = None,
        weights_dir: str | None = None,
        border: int = 0,
        frames: Sequence[int] | None = None,
        every: int = 1,
        device: str = 'cpu',
        datasets: Sequence[str] | None = None,
    ) -> None:
        super().__init__(None, frames, every, datasets)
        self.border = check_least('border', border)
        self.pyiqa = _version()
        path = choose_file([FILES['RN50.pt']], weights, weights_dir)
        self.record_weights(path)
        self.network = load_clipiqa(path, device)

    def score_frames(self, pred: Tensor, gt: Tensor | None) -> Tensor:
        """Compute the CLIP-IQA of each frame, in 0..1."""
        return pyiqa_frames(self.network, crop_border(pred, self.border))


@METRICS.register_module()
class MUSIQ(VideoMetric):
    """Quality by a transformer of patches, Ke et al. 2021, mean over frames.

    It needs no ground truth. It is pyiqa's `musiq`, trained on KonIQ-10k.

    Args:
        weights: pyiqa's musiq_koniq_ckpt-e95806b9.pth; None searches for it,
            and downloads it if need be.
        weights_dir: folder that is searched first.
        border: pixels to leave out at each side.
        frames: see VideoMetric.
        every: see VideoMetric.
        datasets: see VideoMetric.
        device: where the network runs.

    Raises:
        ImportError: pyiqa is not installed.
        ValueError: a wrong option, or weights that are missing or wrong.
    """

    higher_is_better = True
    needs_gt = False
    options = ('border', 'pyiqa')

    def __init__(
        self,
        weights: str | None = None,
        weights_dir: str | None = None,
        border: int = 0,
        frames: Sequence[int] | None = None,
        every: int = 1,
        device: str = 'cpu',
        datasets: Sequence[str] | None = None,
    ) -> None:
        super().__init__(None, frames, every, datasets)
        self.border = check_least('border', border)
        self.pyiqa = _version()
        path = choose_file(
            [FILES['musiq_koniq_ckpt-e95806b9.pth']], weights, weights_dir
        )
        self.record_weights(path)
        self.network = load_musiq(path, device)

    def score_frames(self, pred: Tensor, gt: Tensor | None) -> Tensor:
        """Compute the MUSIQ of each frame, about 0..100."""
        return pyiqa_frames(self.network, crop_border(pred, self.border))


def load_clipiqa(path: Path, device: str = 'cpu') -> nn.Module:
    """Build pyiqa's CLIP-IQA with CLIP's weights.

    Raises:
        ImportError: pyiqa or CLIP's tokenizer is not installed.
        ValueError: the file is damaged or of another kind.
    """
    pyiqa = compat.import_pyiqa()
    where = torch.device(device)
    with torch.random.fork_rng(devices=[]):  # its values are overwritten
        try:
            return pyiqa.create_metric(
                'clipiqa', backbone=str(path), device=where
            )
        except ImportError:
            raise
        except Exception as error:  # a damaged file raises anything
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise ValueError(
                f'`weights`: {path} cannot be read as CLIP ({reason})'
            ) from error


def load_musiq(path: Path, device: str = 'cpu') -> nn.Module:
    """Build pyiqa's MUSIQ; its file is read without running code from it.

    Raises:
        ImportError: pyiqa is not installed.
        ValueError: the file is damaged or does not fit.
    """
    pyiqa = compat.import_pyiqa()
    with torch.random.fork_rng(devices=[]):  # its values are overwritten
        network = pyiqa.create_metric(
            'musiq', pretrained=False, device=torch.device(device)
        )
    load_strict(network.net, read_state(path, ('params',)), path)
    return network


def pyiqa_frames(network: nn.Module, clip: Tensor) -> Tensor:
    """Compute a metric without ground truth of each frame.

    Args:
        network: made by pyiqa, takes images in [0, 1].
        clip: (T, 3, H, W) uint8 RGB.

    Returns:
        (T,) float64.
    """
    with torch.no_grad():
        scores = [network(frame[None].float() / 255) for frame in clip]
    return torch.cat([score.flatten().double().cpu() for score in scores])


def _version() -> str:
    """Return pyiqa's version; refuse to go on without the package."""
    compat.import_pyiqa()
    return version('pyiqa')
