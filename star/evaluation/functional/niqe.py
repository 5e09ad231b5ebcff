"""Natural image quality evaluator, Mittal et al. 2013; no ground truth.

Features describe a frame's blocks of 96 x 96 pixels at two scales. The score
is the distance of their distribution from that of good photographs (Eq. 10).
Rounding to float32 follows BasicSR and mmagic: in flat regions it decides the
score's second digit.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from star.evaluation.functional.clips import check_clip, crop_border
from star.evaluation.functional.imresize import imresize
from star.evaluation.functional.parameters import read_arrays, to_tensor
from star.evaluation.functional.scene_statistics import (
    distances,
    distribution_of,
    gaussian,
    normalize_contrast,
    product_features,
    to_blocks,
)

CHANNELS = ('gray', 'y')
_BLOCK = 96
_FEATURES = 36
_WINDOW, _SIGMA = 7, 7 / 6
_GRAY = (0.299, 0.587, 0.114)
# ITU-R BT.601, studio range: Y = 16 + (65.481 R + 128.553 G + 24.966 B) / 255
_LUMA, _BLACK = (65.481, 128.553, 24.966), 16.0


@dataclass(frozen=True)
class NiqeModel:
    """Distribution of the features of good photographs.

    Args:
        mean: (36,) float64.
        covariance: (36, 36) float64.
        window: for the local mean, (7, 7) float64.
    """

    mean: Tensor
    covariance: Tensor
    window: Tensor

    def to(self, device: torch.device | str) -> 'NiqeModel':
        """Copy the model to the device that is to measure frames."""
        tensors = (self.mean, self.covariance, self.window)
        return NiqeModel(*(tensor.to(device) for tensor in tensors))


def load_niqe(path: str | Path) -> NiqeModel:
    """Read the distribution of the features of good photographs.

    Args:
        path: `niqe_pris_params.npz` of BasicSR and mmagic, or
            `niqe_modelparameters.mat` of the authors and pyiqa.

    Raises:
        ValueError: the file is missing, damaged or not such a file.
    """
    arrays = read_arrays(path)
    # the authors' file spells the names without the second underscore
    found = {name.replace('pris_', 'pris'): a for name, a in arrays.items()}
    window = gaussian(_WINDOW, _SIGMA)
    if 'gaussian_window' in found:  # differs in the last bit
        window = to_tensor(
            found['gaussian_window'],
            (_WINDOW, _WINDOW),
            f'gaussian_window of {path}',
        )
    return NiqeModel(
        to_tensor(
            found.get('mu_prisparam'), (_FEATURES,), f'mu_prisparam of {path}'
        ),
        to_tensor(
            found.get('cov_prisparam'),
            (_FEATURES, _FEATURES),
            f'cov_prisparam of {path}',
        ),
        window,
    )


def niqe(
    clip: Tensor, model: NiqeModel, border: int = 0, channel: str = 'gray'
) -> float:
    """Average the NIQE of a clip's frames.

    Args:
        clip: (T, 3, H, W) uint8 RGB, sides of at least 96 within the border.
        model: from `load_niqe`.
        border: pixels to leave out at each side.
        channel: 'gray', the usual full-range luma, or 'y', that of BT.601.

    Returns:
        About 3 to 5 for good photographs; less is better.

    Raises:
        ValueError: no clip, too small frames or a wrong option.
    """
    return float(niqe_frames(clip, model, border, channel).mean())


def niqe_frames(
    clip: Tensor, model: NiqeModel, border: int = 0, channel: str = 'gray'
) -> Tensor:
    """Compute the NIQE of each frame.

    Args:
        clip: as for `niqe`.
        model: as for `niqe`.
        border: as for `niqe`.
        channel: as for `niqe`.

    Returns:
        (T,) float64; NaN for a frame without texture in any of its blocks.

    Raises:
        ValueError: as for `niqe`.
    """
    check_clip(clip, 'clip')
    clip = crop_border(clip, border)
    if min(clip.shape[-2:]) < _BLOCK:
        raise ValueError(
            f'frames must have sides of at least {_BLOCK} pixels for NIQE, '
            f'got {clip.shape[-2]}x{clip.shape[-1]}'
        )
    device = model.mean.device
    lumas = (_to_luma(frame.to(device), channel) for frame in clip)
    return torch.stack([_score(luma, model) for luma in lumas]).cpu()


def _score(luma: Tensor, model: NiqeModel) -> Tensor:
    """Score one frame, (1, H, W) float32 in [0, 255]."""
    height, width = (side // _BLOCK * _BLOCK for side in luma.shape[-2:])
    luma = luma[:, :height, :width]
    half = imresize(luma / 255, (height // 2, width // 2)).double() * 255
    features = torch.cat(
        [
            _describe(luma, _BLOCK, model.window),
            _describe(half, _BLOCK // 2, model.window),
        ],
        1,
    )
    mean, covariance = distribution_of(features)
    offset = (mean - model.mean)[None]
    return distances(offset, (covariance + model.covariance) / 2)[0]


def _describe(luma: Tensor, block: int, window: Tensor) -> Tensor:
    """Compute 18 features of each block."""
    normalized = normalize_contrast(luma, window)
    return product_features(to_blocks(normalized, block)[0].double())


def _to_luma(frame: Tensor, channel: str) -> Tensor:
    """Convert (3, H, W) uint8 RGB to whole numbers, (1, H, W) float32."""
    if channel not in CHANNELS:
        raise ValueError(f"`channel` must be 'gray' or 'y', got {channel!r}")
    red, green, blue = frame.float() / 255
    if channel == 'gray':
        # ties are frequent; rounding to float32 decides them, as in OpenCV
        red_weight, green_weight, blue_weight = _GRAY
        luma = _add(green * green_weight, blue, blue_weight)
        luma = _add(luma, red, red_weight)
    else:
        parts = zip(_LUMA, (red, green, blue), strict=True)
        total = sum(weight * part.double() for weight, part in parts)
        luma = ((total + _BLACK) / 255).float()
    return (luma * 255).round()[None]


def _add(total: Tensor, part: Tensor, weight: float) -> Tensor:
    """Add with one rounding to float32, as a fused operation does."""
    weight = float(torch.tensor(weight, dtype=torch.float32))
    return (total.double() + part.double() * weight).float()
