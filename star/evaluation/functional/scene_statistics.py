"""Natural scene statistics for NIQE and IL-NIQE.

Local contrast normalisation and the features of its products are Eq. 1 to 8
of Mittal et al. 2013. Asymmetric generalised Gaussians (AGGD) are fitted by
moments (Lasmar et al. 2009), Weibull distributions by maximum likelihood.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

# neighbours of the products: right, below, and both diagonals
_SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))
_WEIBULL_STEPS, _WEIBULL_CHANGE = 50, 1e-8
_STRIP = 32  # rows at a time: they stay in the processor's cache


def gaussian(size: int, sigma: float) -> Tensor:
    """Sample a two-dimensional Gaussian of sum 1.

    Args:
        size: taps along each side; for an even number the centre lies between
            two taps.
        sigma: deviation in taps.

    Returns:
        (size, size) float64.
    """
    squares = (torch.arange(size, dtype=torch.float64) - (size - 1) / 2) ** 2
    window = torch.exp(-(squares[:, None] + squares) / (2 * sigma**2))
    return window / window.sum()


def correlate(images: Tensor, window: Tensor) -> Tensor:
    """Correlate images with a window, borders replicated.

    The order of additions is fixed, window row by window row, and no product
    is fused with a sum: in flat regions the last bit decides the sign of the
    result. Convolutions of float64 are many times slower on the CPU.

    Args:
        images: (C, H, W) floating point.
        window: (K, K) float64; for an even K it reaches further right and
            down.

    Returns:
        (C, H, W), summed in float64 and then rounded to the type of `images`.
    """
    before, after = (len(window) - 1) // 2, len(window) // 2
    padded = F.pad(images[None], (before, after) * 2, mode='replicate')[0]
    padded, rows = padded.double(), images.shape[-2]
    strips = [
        _correlate_valid(padded[:, i : i + _STRIP + len(window) - 1], window)
        for i in range(0, rows, _STRIP)
    ]
    return torch.cat(strips, -2).to(images.dtype)


def _correlate_valid(images: Tensor, window: Tensor) -> Tensor:
    margin = len(window) - 1
    height, width = (side - margin for side in images.shape[-2:])
    result = images.new_zeros(len(images), height, width)
    product = torch.empty_like(result)
    for i, row in enumerate(window.tolist()):
        for j, weight in enumerate(row):
            pixels = images[:, i : i + height, j : j + width]
            result += torch.mul(pixels, weight, out=product)
    return result


def normalize_contrast(images: Tensor, window: Tensor) -> Tensor:
    """Subtract the local mean and divide by local deviation plus 1, Eq. 1.

    Args:
        images: (C, H, W) floating point in [0, 255].
        window: weights of the neighbourhood, (K, K) float64, of sum 1.

    Returns:
        Of the same shape and type.
    """
    mean = correlate(images, window)
    square = correlate(images * images, window)
    deviation = (square - mean * mean).abs().sqrt()
    return (images - mean) / (deviation + 1)


def to_blocks(images: Tensor, size: int) -> Tensor:
    """Cut images into squares, row by row; drop incomplete ones.

    Args:
        images: (C, H, W).
        size: side of a square.

    Returns:
        (C, blocks, size, size).
    """
    rows, columns = (side // size for side in images.shape[-2:])
    images = images[:, : rows * size, : columns * size]
    blocks = images.reshape(-1, rows, size, columns, size).transpose(2, 3)
    return blocks.reshape(len(images), rows * columns, size, size)


def fit_aggd(samples: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Fit asymmetric generalised Gaussians by their moments.

    Args:
        samples: (..., N) float64.

    Returns:
        Shape in [0.2, 10] in steps of 0.001, scale left of zero and scale
        right of it, each (...). A side without samples has the scale NaN, and
        the shape is then 0.2, as in the original's search.
    """
    below, above = samples.clamp(max=0), samples.clamp(min=0)
    square_below = torch.einsum('...n,...n->...', below, below)
    square_above = torch.einsum('...n,...n->...', above, above)
    left = _deviation(square_below, (samples < 0).sum(-1))
    right = _deviation(square_above, (samples > 0).sum(-1))
    ratio = left / right
    size = (above.sum(-1) - below.sum(-1)) / samples.shape[-1]
    moment = size**2 * samples.shape[-1] / (square_below + square_above)
    moment = moment * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    shape = _shape_of(moment)
    factor = torch.exp((torch.lgamma(1 / shape) - torch.lgamma(3 / shape)) / 2)
    return shape, left * factor, right * factor


def _deviation(squares: Tensor, count: Tensor) -> Tensor:
    """Take the root of a mean square; NaN without samples."""
    return torch.where(count > 0, (squares / count).sqrt(), torch.nan)


@lru_cache
def _shapes() -> tuple[Tensor, Tensor]:
    """Tabulate shapes and Gamma(2/a)^2 / (Gamma(1/a) Gamma(3/a))."""
    shapes = torch.arange(200, 10001, dtype=torch.float64) / 1000
    one, two, three = (torch.lgamma(n / shapes) for n in (1, 2, 3))
    return shapes, torch.exp(2 * two - one - three)


def _shape_of(moment: Tensor) -> Tensor:
    """Look up the shape whose ratio of moments is nearest."""
    shapes, ratios = (table.to(moment.device) for table in _shapes())
    above = torch.searchsorted(ratios, moment.contiguous())
    above = above.clamp(1, len(ratios) - 1)
    nearer = moment - ratios[above - 1] <= ratios[above] - moment
    nearest = torch.where(nearer, above - 1, above)
    return shapes[torch.where(moment.isnan(), 0, nearest)]


def product_features(blocks: Tensor) -> Tensor:
    """Describe normalised blocks and the products of neighbours, Eq. 2 to 8.

    Args:
        blocks: (B, size, size) of `normalize_contrast`; neighbours wrap around
            a block's edges.

    Returns:
        (B, 18).
    """
    shape, left, right = fit_aggd(blocks.flatten(1))
    features = [shape, (left + right) / 2]
    for shift in _SHIFTS:
        products = blocks * blocks.roll(shift, (1, 2))
        shape, left, right = fit_aggd(products.flatten(1))
        gammas = torch.lgamma(2 / shape) - torch.lgamma(1 / shape)
        mean = (right - left) * torch.exp(gammas)
        features += [shape, mean, left, right]
    return torch.stack(features, 1)


def fit_weibull(samples: Tensor) -> tuple[Tensor, Tensor]:
    """Fit Weibull distributions by maximum likelihood, with Newton's method.

    Args:
        samples: (..., N) float64, positive.

    Returns:
        Shape and scale, each (...); NaN where samples are all but equal (a
        shape above some 80).
    """
    logs = samples.log()
    mean = logs.mean(-1)
    shape = 1.2 / logs.std(-1)
    for _ in range(_WEIBULL_STEPS):
        zeroth, first, second = _weighted_sums(logs, shape)
        centre = first / zeroth
        value = centre - mean - 1 / shape
        slope = second / zeroth - centre**2 + 1 / shape**2
        step = value / slope
        shape = shape - step
        if not bool((step.abs() > _WEIBULL_CHANGE * shape.abs()).any()):
            break
    zeroth = torch.exp(shape[..., None] * logs).mean(-1)
    return shape, zeroth ** (1 / shape)


def _weighted_sums(logs: Tensor, shape: Tensor) -> Sequence[Tensor]:
    """Sum x^k, x^k ln x and x^k (ln x)^2 over samples x of shape k."""
    weights = torch.exp(shape[..., None] * logs)
    zeroth = weights.sum(-1)
    weights *= logs
    second = torch.einsum('...n,...n->...', weights, logs)
    return zeroth, weights.sum(-1), second


def distribution_of(features: Tensor) -> tuple[Tensor, Tensor]:
    """Estimate mean and covariance of blocks' features.

    Args:
        features: (B, D); the mean leaves out NaN, the covariance every block
            with a NaN.

    Returns:
        (D,) and (D, D). The covariance of a single block is zero, as in
        MATLAB; that of no block is NaN.
    """
    mean, whole = features.nanmean(0), features[~features.isnan().any(1)]
    if not len(whole):
        return mean, mean.new_full((len(mean), len(mean)), torch.nan)
    return mean, torch.cov(whole.mT, correction=int(len(whole) > 1))


def distances(offsets: Tensor, covariance: Tensor) -> Tensor:
    """Compute the Mahalanobis distances of points from a centre.

    Args:
        offsets: points minus the centre, (N, D).
        covariance: (D, D), symmetric; may be singular.

    Returns:
        (N,); NaN if the covariance is not finite.
    """
    if not bool(covariance.isfinite().all()):
        return offsets.new_full((len(offsets),), torch.nan)
    inverse = torch.linalg.pinv(covariance, hermitian=True)
    return torch.einsum('ni,ij,nj->n', offsets, inverse, offsets).sqrt()
