"""Integrated local NIQE, Zhang et al. 2015; no ground truth.

A frame of 524 x 524 pixels is cut into 36 blocks. 468 features of structure,
colour, gradients and log-Gabor responses describe each block; the score is
their mean distance from good photographs (Eq. 20).
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import torch
from torch import Tensor

from star.evaluation.functional.clips import check_clip
from star.evaluation.functional.ilniqe_maps import (
    gradients,
    log_colours,
    log_gabor_responses,
    to_opponent,
)
from star.evaluation.functional.imresize import imresize
from star.evaluation.functional.parameters import read_arrays, to_tensor
from star.evaluation.functional.scene_statistics import (
    correlate,
    distances,
    distribution_of,
    fit_aggd,
    fit_weibull,
    gaussian,
    normalize_contrast,
    product_features,
    to_blocks,
)
from star.utils.checks import check_choice

PRESETS = ('pyiqa', 'matlab')
_SIDE, _BLOCK, _BLOCKS = 524, 84, 6
_FEATURES, _COMPONENTS = 468, 430
_CEILING = 10000.0  # replaces infinite features
_EDGE_SIGMA, _EDGE_EXPONENT = 1.66, 0.28
_WAVELENGTH, _WAVE_EXPONENT = 2.4, 0.87
_EPS = 1e-8  # added to a squared gradient before the root


@dataclass(frozen=True)
class IlniqeModel:
    """Distribution of the features of good photographs.

    Args:
        mean: of the principal components, (430,) float64.
        covariance: of the principal components, (430, 430) float64.
        centre: mean of the features, (468,) float64.
        components: principal components, (468, 430) float64.
    """

    mean: Tensor
    covariance: Tensor
    centre: Tensor
    components: Tensor

    def to(self, device: torch.device | str) -> 'IlniqeModel':
        """Copy the model to the device that is to measure frames."""
        return IlniqeModel(*(tensor.to(device) for tensor in astuple(self)))


def load_ilniqe(path: str | Path) -> IlniqeModel:
    """Read the distribution of the features of good photographs.

    Args:
        path: the authors' `templateModel.mat`; pyiqa calls it
            `ILNIQE_templateModel.mat`.

    Raises:
        ValueError: the file is missing, damaged or not such a file.
    """
    cells = read_arrays(path).get('templateModel')
    if cells is None or cells.dtype != object or cells.size != 4:
        raise ValueError(f'`path`: {path} has no `templateModel` of 4 parts')
    shapes = (
        (_COMPONENTS,),
        (_COMPONENTS, _COMPONENTS),
        (_FEATURES,),
        (_FEATURES, _COMPONENTS),
    )
    parts = zip(cells.ravel(), shapes, strict=True)
    return IlniqeModel(
        *(
            to_tensor(cell, shape, f'part {number} of {path}')
            for number, (cell, shape) in enumerate(parts, 1)
        )
    )


def ilniqe(clip: Tensor, model: IlniqeModel, preset: str = 'pyiqa') -> float:
    """Average the IL-NIQE of a clip's frames.

    Args:
        clip: (T, 3, H, W) uint8 RGB; every frame is resized to 524 x 524.
        model: from `load_ilniqe`.
        preset: 'pyiqa' keeps fractions after resizing, 'matlab' rounds them
            as the authors' code does.

    Returns:
        About 20 to 30 for good photographs; less is better.

    Raises:
        ValueError: no clip, or an unknown preset.
    """
    return float(ilniqe_frames(clip, model, preset).mean())


def ilniqe_frames(
    clip: Tensor, model: IlniqeModel, preset: str = 'pyiqa'
) -> Tensor:
    """Compute the IL-NIQE of each frame.

    Args:
        clip: as for `ilniqe`.
        model: as for `ilniqe`.
        preset: as for `ilniqe`.

    Returns:
        (T,) float64; NaN for a frame without texture in any of its blocks.

    Raises:
        ValueError: as for `ilniqe`.
    """
    check_clip(clip, 'clip')
    check_choice('preset', preset, PRESETS)
    device = model.mean.device
    frames = (_resize(frame.to(device), preset) for frame in clip)
    return torch.stack([_score(frame, model) for frame in frames]).cpu()


def _resize(frame: Tensor, preset: str) -> Tensor:
    """Resize a frame and crop it to whole blocks, (3, 504, 504) float64."""
    colours = imresize(frame.float(), (_SIDE, _SIDE)).clamp(0, 255)
    if preset == 'matlab':
        colours = colours.round()
    side = _BLOCK * _BLOCKS
    return colours[:, :side, :side].double()


def _score(colours: Tensor, model: IlniqeModel) -> Tensor:
    half = correlate(colours, _window(6, 0.9))[:, ::2, ::2]
    features = torch.cat([_describe(colours, 1), _describe(half, 2)], 1)
    features = features.clamp(max=_CEILING) - model.centre
    components = features @ model.components
    mean, covariance = distribution_of(components)
    # the mean of the other blocks replaces an undefined feature
    components = torch.where(components.isnan(), mean, components)
    offsets = components - model.mean
    return distances(offsets, (covariance + model.covariance) / 2).mean()


def _describe(colours: Tensor, scale: int) -> Tensor:
    """Compute 234 features of each block.

    Args:
        colours: (3, H, W) RGB in [0, 255].
        scale: 1, or 2 where the picture has half its size.

    Returns:
        (36, 234), in the model's order.
    """
    block = _BLOCK // scale
    opponent = to_opponent(colours)
    structure = normalize_contrast(opponent[2:], _window(5, 5 / 6))
    sigma = _EDGE_SIGMA / scale**_EDGE_EXPONENT
    across, down = gradients(opponent, sigma)
    features = [
        product_features(to_blocks(structure, block)[0]),
        _weibull(across, down, block),
        _moments(log_colours(colours), block),
        _gaussian(_interleave(across, down), block),
    ]
    wavelength = _WAVELENGTH / scale**_WAVE_EXPONENT
    values, slopes, magnitudes = [], [], []
    for response in log_gabor_responses(opponent[2], wavelength):
        across, down = gradients(response, sigma)
        values.append(_gaussian(response, block))
        slopes.append(_gaussian(_interleave(across, down), block))
        magnitudes.append(_weibull(across, down, block))
    return torch.cat([*features, *values, *slopes, *magnitudes], 1)


def _gaussian(maps: Tensor, block: int) -> Tensor:
    """Fit maps (C, H, W): shape and mean scale, (blocks, 2 C)."""
    shape, left, right = fit_aggd(to_blocks(maps, block).flatten(2))
    return _columns([shape, (left + right) / 2])


def _weibull(across: Tensor, down: Tensor, block: int) -> Tensor:
    """Fit magnitudes of gradients: scale and shape, (blocks, 2 C)."""
    magnitude = torch.sqrt(across**2 + down**2 + _EPS)
    shape, scale = fit_weibull(to_blocks(magnitude, block).flatten(2))
    return _columns([scale, shape])


def _moments(maps: Tensor, block: int) -> Tensor:
    """Compute mean and variance, (blocks, 2 C)."""
    samples = to_blocks(maps, block).flatten(2)
    return _columns([samples.mean(-1), samples.var(-1)])


def _columns(values: Sequence[Tensor]) -> Tensor:
    """Arrange values (C, blocks) in columns, map by map."""
    return torch.stack(list(values)).permute(2, 1, 0).flatten(1)


def _interleave(first: Tensor, second: Tensor) -> Tensor:
    return torch.stack([first, second], 1).flatten(0, 1)


def _window(size: int, sigma: float) -> Tensor:
    """Sample a Gaussian in float32, as pyiqa does.

    Its sum then differs from 1, which decides the sign in flat regions.
    """
    return gaussian(size, sigma).float().double()
