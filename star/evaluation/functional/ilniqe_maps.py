"""Maps of a picture whose statistics IL-NIQE uses, Zhang et al. 2015."""

import math
from collections.abc import Iterator
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

_OPPONENT = ((0.3, 0.04, -0.35), (0.34, -0.6, 0.17), (0.06, 0.63, 0.27))
_LOG_OFFSET = 1e-5
_SCALES, _ORIENTATIONS = 3, 4
_BANDWIDTH = 0.55  # ratio of the radial deviation to the centre frequency
_STEP = 1.31  # between wavelengths of neighbouring scales
_ANGULAR = 1.1  # ratio of the angle between filters to their deviation


def to_opponent(colours: Tensor) -> Tensor:
    """Convert RGB, (3, H, W), to the paper's opponent colours O1, O2, O3.

    The weights are rounded to float32, as in pyiqa.
    """
    weights = torch.tensor(_OPPONENT, dtype=torch.float32).to(colours)
    return torch.einsum('oc,chw->ohw', weights, colours)


def log_colours(colours: Tensor) -> Tensor:
    """Convert RGB to the log-opponent colours of Ruderman et al. 1998.

    Args:
        colours: (3, H, W) RGB in [0, 255].

    Returns:
        (3, H, W): intensity, blue to yellow, red to green.
    """
    logs = torch.log(colours + _LOG_OFFSET)
    red, green, blue = logs - logs.mean((1, 2), keepdim=True)
    return torch.stack(
        [
            (red + green + blue) / math.sqrt(3),
            (red + green - 2 * blue) / math.sqrt(6),
            (red - green) / math.sqrt(2),
        ]
    )


def gradients(images: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """Convolve with the derivatives of a Gaussian, borders padded with 0.

    Args:
        images: (C, H, W).
        sigma: deviation in pixels.

    Returns:
        Derivatives from left to right and from top to bottom, (C, H, W), with
        the paper's scaling and sign.
    """
    reach = math.ceil(3 * sigma)
    x = torch.arange(reach + 1, dtype=torch.float64)
    smooth = torch.exp(-(x**2) / (2 * sigma**2))
    slope = x * smooth
    padded = F.pad(images, (reach, reach, reach, reach))
    across = _smooth(_differ(padded, slope, -1), smooth, -2)
    down = _differ(_smooth(padded, smooth, -1), slope, -2)
    return across, down


# The loops go over taps: convolutions of float64 are many times slower on the
# CPU. Opposite taps are joined first, so that the derivative of a flat region
# is 0 and not rounding noise, whose sign would count.


def _smooth(images: Tensor, half: Tensor, dim: int) -> Tensor:
    """Convolve with an even window, given from its centre; valid region."""
    length, reach = images.shape[dim] - 2 * len(half) + 2, len(half) - 1
    result = images.narrow(dim, reach, length) * float(half[0])
    for i, weight in enumerate(half.tolist()[1:], 1):
        before = images.narrow(dim, reach - i, length)
        after = images.narrow(dim, reach + i, length)
        result.add_(before + after, alpha=weight)
    return result


def _differ(images: Tensor, half: Tensor, dim: int) -> Tensor:
    """Convolve with an odd window, given from its centre; valid region."""
    length, reach = images.shape[dim] - 2 * len(half) + 2, len(half) - 1
    result = torch.zeros_like(images.narrow(dim, reach, length))
    for i, weight in enumerate(half.tolist()[1:], 1):
        before = images.narrow(dim, reach - i, length)
        after = images.narrow(dim, reach + i, length)
        result.add_(before - after, alpha=weight)
    return result


def log_gabor_responses(image: Tensor, wavelength: float) -> Iterator[Tensor]:
    """Filter an image with log-Gabor filters, 3 scales of 4 orientations.

    Args:
        image: (H, W) float64.
        wavelength: of the finest scale, in pixels.

    Yields:
        (2, H, W): even and odd response of one filter.
    """
    bank = log_gabor_bank(tuple(image.shape), wavelength, image.device)
    spectrum = torch.fft.fft2(image)
    for window in bank:
        response = torch.fft.ifft2(spectrum * window)
        yield torch.stack([response.real, response.imag])


@lru_cache(maxsize=8)
def log_gabor_bank(
    size: tuple[int, ...], wavelength: float, device: torch.device
) -> Tensor:
    """Sample log-Gabor filters in the frequency domain.

    Args:
        size: height and width of the images.
        wavelength: of the finest scale, in pixels.
        device: of the result.

    Returns:
        (12, H, W) float64, the orientations of the finest scale first, with
        frequency 0 at the corner.
    """
    down = torch.fft.fftfreq(size[0], dtype=torch.float64)[:, None]
    across = torch.fft.fftfreq(size[1], dtype=torch.float64)
    radius = torch.hypot(down, across)
    radius[0, 0] = 1
    angle = torch.atan2(-down, across.expand_as(radius))
    filters = [
        _radial(radius, wavelength * _STEP**scale)
        * _directional(angle, math.pi * orientation / _ORIENTATIONS)
        for scale in range(_SCALES)
        for orientation in range(_ORIENTATIONS)
    ]
    return torch.stack(filters).to(device)


def _radial(radius: Tensor, wavelength: float) -> Tensor:
    logs = torch.log(radius * wavelength)
    band = torch.exp(-(logs**2) / (2 * math.log(_BANDWIDTH) ** 2))
    band[0, 0] = 0
    return band


def _directional(angle: Tensor, direction: float) -> Tensor:
    deviation = math.pi / _ORIENTATIONS / _ANGULAR
    difference = angle - direction
    wrapped = torch.atan2(difference.sin(), difference.cos())
    return torch.exp(-(wrapped**2) / (2 * deviation**2))
