"""Blur kernels of Real-ESRGAN: six kinds and a circular low-pass filter."""

import numpy as np

KINDS = (
    'iso',
    'aniso',
    'generalized_iso',
    'generalized_aniso',
    'plateau_iso',
    'plateau_aniso',
)


def blur_kernel(
    kind: str,
    size: int,
    sigma: tuple[float, float],
    theta: float = 0.0,
    beta: float = 1.0,
) -> np.ndarray:
    """Make a kernel that sums to 1.

    With q = v^T S^-1 v, where S has the axes `sigma` turned by `theta`:
    exp(-q / 2), generalised exp(-q^beta / 2), plateau 1 / (1 + q^beta).

    Args:
        kind: one of `KINDS`.
        size: side of the kernel, odd.
        sigma: standard deviations along its axes, pixels; isotropic kinds
            use the first one for both.
        theta: angle of the first axis, radians from x to y.
        beta: shape of generalised and plateau kernels, > 0.

    Returns:
        (size, size) float64, x along the columns.

    Raises:
        ValueError: unknown `kind`, or an even `size`.
    """
    if kind not in KINDS:
        raise ValueError(f'`kind` must be in {KINDS}, got {kind}')
    x, y = _grid(size)
    axes = sigma
    if not kind.endswith('aniso'):
        axes, theta = (sigma[0], sigma[0]), 0.0
    along = np.cos(theta) * x + np.sin(theta) * y
    across = np.cos(theta) * y - np.sin(theta) * x
    q = (along / axes[0]) ** 2 + (across / axes[1]) ** 2
    if kind.startswith('plateau'):
        kernel = 1 / (1 + q**beta)
    elif kind.startswith('generalized'):
        kernel = np.exp(-(q**beta) / 2)
    else:
        kernel = np.exp(-q / 2)
    return kernel / kernel.sum()


def sinc_kernel(size: int, cutoff: float) -> np.ndarray:
    """Make a circular low-pass filter that sums to 1; it causes ringing.

    w J1(w r) / (2 pi r) with w = `cutoff`; its limit at r = 0 is w^2 / (4 pi).

    Args:
        size: side of the kernel, odd.
        cutoff: radians per pixel, (0, pi].

    Returns:
        (size, size) float64.
    """
    x, y = _grid(size)
    radius = np.hypot(x, y)
    centre = radius == 0
    radius[centre] = 1
    kernel = cutoff * _bessel(cutoff * radius) / (2 * np.pi * radius)
    kernel[centre] = cutoff**2 / (4 * np.pi)
    return kernel / kernel.sum()


def _bessel(x: np.ndarray) -> np.ndarray:
    """Evaluate J1, the mean of cos(t - x sin t) over a turn, |x| <= 45.

    The trapezoidal rule is exact up to rounding, so scipy is not needed.
    """
    t = np.arange(128) * (2 * np.pi / 128)
    return np.cos(t - x[..., None] * np.sin(t)).mean(-1)


def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of each pixel, (size, size), 0 at the centre."""
    if size < 1 or not size % 2:
        raise ValueError(f'`size` must be odd, got {size}')
    axis = np.arange(size) - size // 2.0
    x, y = np.meshgrid(axis, axis)
    return x, y
