"""Dynamic Frequency loss on decoded pixels, Eq. 6 to 10 of the paper."""

import math

import torch
from torch import Tensor, nn

from star.registry import MODELS
from star.utils.checks import check_choice, check_least

SCHEDULES = ('linear', 'exponential', 'constant')
ORDERS = ('direct', 'inverse')
FILTERS = ('radial', 'gaussian', 'official')
NORMS = ('l1', 'l2')
OFFICIAL_QUANTILE, OFFICIAL_SLOPE, OFFICIAL_FACTOR = 0.8, 10.0, 0.01


def frequency_weights(
    t: Tensor,
    alpha: float = 2.0,
    beta: float = 1.0,
    b: str = 'linear',
    order: str = 'direct',
    num_timesteps: int = 1000,
) -> tuple[Tensor, Tensor]:
    """Compute the weights of the frequency loss and of its low band.

    With u = t / (num_timesteps - 1), c = u**alpha, or 1 - u**alpha in order
    'inverse'. b falls from beta at u = 0 to 0 at u = 1: beta (1 - u) if
    'linear', beta (exp(1 - u) - 1) / (e - 1) if 'exponential', for which the
    paper gives no formula; 'constant' is beta throughout.

    Args:
        t: timesteps, (N,).
        alpha: of c; a larger one lets the high band count at more steps.
        beta: largest b.
        b: 'linear', 'exponential' or 'constant'.
        order: 'direct' or 'inverse'.
        num_timesteps: of the noise schedule.

    Returns:
        b and c, (N,) float32 each.

    Source: Eq. 9 and 10.
    """
    u = t.float() / (num_timesteps - 1)
    c = u**alpha
    falls = {
        'linear': 1 - u,
        'exponential': torch.expm1(1 - u) / math.expm1(1),
        'constant': torch.ones_like(u),
    }
    return beta * falls[b], c if order == 'direct' else 1 - c


def low_pass(
    height: int,
    width: int,
    kind: str = 'radial',
    cutoff: float = 0.25,
    device: torch.device | str = 'cpu',
) -> Tensor:
    """Build the low-pass filter psi for the half spectrum of `rfft2`.

    Args:
        height: of a frame, in pixels.
        width: of a frame, in pixels.
        kind: 'radial' passes the frequencies up to the cutoff; 'gaussian' is
            1 at zero and 1/2 at the cutoff.
        cutoff: distance from zero frequency in cycles per pixel.
        device: where to.

    Returns:
        (height, width // 2 + 1) float32 in [0, 1].
    """
    rows = torch.fft.fftfreq(height, device=device)
    columns = torch.fft.rfftfreq(width, device=device)
    square = rows.square()[:, None] + columns.square()
    if kind == 'gaussian':
        return torch.exp2(-square / cutoff**2)
    return (square <= cutoff**2 * (1 + 1e-6)).float()


def split_frequencies(
    x: Tensor, kind: str = 'radial', cutoff: float = 0.25
) -> tuple[Tensor, Tensor]:
    """Split every frame's orthonormal spectrum in a low and a high band.

    Args:
        x: clips, (..., H, W).
        kind: as for `low_pass`.
        cutoff: as for `low_pass`.

    Returns:
        The bands, (..., H, W // 2 + 1) complex64 each; they add up to the
        spectrum.

    Source: Eq. 6 and 7.
    """
    spectrum = torch.fft.rfft2(x.float(), norm='ortho')
    psi = low_pass(x.shape[-2], x.shape[-1], kind, cutoff, x.device)
    return spectrum * psi, spectrum * (1 - psi)


def split_by_magnitude(x: Tensor) -> tuple[Tensor, Tensor]:
    """Split spectra as the official code does: by magnitude.

    Values below the 80th percentile of a clip's magnitudes form the first
    band. The official code calls it low, although in a picture most of it is
    of high frequency. The percentile is taken over all
    magnitudes; the official code takes it over 10,000 random ones. The mask
    is held constant in the backward pass.

    Args:
        x: clips, (N, C, T, H, W).

    Returns:
        The bands of the unnormalised spectrum, (N, C, T, H, W // 2 + 1)
        complex64 each.
    """
    spectrum = torch.fft.rfft2(x.float())
    with torch.no_grad():
        magnitude = spectrum.abs()
        flat = magnitude.flatten(1)
        rank = 1 + int(OFFICIAL_QUANTILE * (flat.shape[1] - 1))
        cutoff = flat.kthvalue(rank, dim=1).values.view(-1, 1, 1, 1, 1)
        mask = torch.sigmoid(OFFICIAL_SLOPE * (cutoff - magnitude))
    return spectrum * mask, spectrum * (1 - mask)


def spectral_distance(error: Tensor, width: int, norm: str = 'l1') -> Tensor:
    """Average an error, given as a half spectrum, over the whole spectrum.

    Args:
        error: half spectra as of `rfft2`, (N, C, T, H, width // 2 + 1).
        width: of a frame, in pixels.
        norm: 'l1' averages moduli, 'l2' squared moduli; the latter is the
            mean square of the pixels if the spectrum is orthonormal.

    Returns:
        (N,) float32.
    """
    square = error.real.square() + error.imag.square()
    values = square if norm == 'l2' else error.abs()
    twice = torch.full((error.shape[-1],), 2.0, device=error.device)
    twice[0] = 1
    if width % 2 == 0:
        twice[-1] = 1
    mean = (values * twice).sum(-1) / width
    return mean.flatten(1).mean(1)


@MODELS.register_module()
class DynamicFrequencyLoss(nn.Module):
    """Compares low and high frequencies, each at the steps that form them.

    b(t) (c(t) |low' - low| + (1 - c(t)) |high' - high|), averaged over the
    batch, each clip with the weights of its own timestep: the structure
    counts at early steps (high t), the detail at late ones.

    Args:
        alpha: exponent of c(t), > 0.
        beta: largest b(t), >= 0.
        b: 'linear', 'exponential' or 'constant', see `frequency_weights`.
        separate: False compares whole spectra, without c(t).
        order: 'inverse' swaps c and 1 - c.
        filter: 'radial' or 'gaussian', see `low_pass`; 'official' splits and
            weights as the released code (by magnitude, with a factor 0.01),
            but passes the gradient on, which the released code drops.
        cutoff: of the filter, in cycles per pixel, in (0, 0.71); 0.5 is the
            finest that a row or column can have. Unused if 'official'.
        norm: 'l1' or 'l2', see `spectral_distance`; 'official' has only l1,
            of real and imaginary parts.
        weight: factor of the loss.
        num_timesteps: of the noise schedule, >= 2.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        alpha: float = 2.0,
        beta: float = 1.0,
        b: str = 'linear',
        separate: bool = True,
        order: str = 'direct',
        filter: str = 'radial',
        cutoff: float = 0.25,
        norm: str = 'l1',
        weight: float = 1.0,
        num_timesteps: int = 1000,
    ) -> None:
        super().__init__()
        check_choice('b', b, SCHEDULES)
        check_choice('order', order, ORDERS)
        check_choice('filter', filter, FILTERS)
        check_choice('norm', norm, NORMS)
        if filter == 'official' and norm != 'l1':
            raise ValueError(
                f"`norm` must be 'l1' with filter 'official', got {norm!r}"
            )
        _check_ranges(alpha, beta, cutoff, num_timesteps)
        self.alpha = alpha
        self.beta = beta
        self.b = b
        self.separate = separate
        self.order = order
        self.filter = filter
        self.cutoff = cutoff
        self.norm = norm
        self.weight = weight
        self.num_timesteps = num_timesteps

    def forward(self, pred: Tensor, gt: Tensor, t: Tensor) -> Tensor:
        """Return the weighted loss of a batch.

        Args:
            pred: decoded estimate of the clean clips, (N, C, T, H, W).
            gt: ground truth in [-1, 1], of the same shape.
            t: the timestep of each clip, (N,).
        """
        return self.terms(pred, gt, t)['loss_frequency']

    def terms(self, pred: Tensor, gt: Tensor, t: Tensor) -> dict[str, Tensor]:
        """Return the loss, and numbers to log.

        Args:
            pred: as for `forward`, like `gt` and `t`.

        Returns:
            `loss_frequency`; without gradient the mean distances
            `frequency_low` and `frequency_high` and the mean b(t) as
            `frequency_weight`.
        """
        b, c = frequency_weights(
            t, self.alpha, self.beta, self.b, self.order, self.num_timesteps
        )
        with torch.autocast(pred.device.type, enabled=False):
            low, high, whole = self.distances(pred, gt)
        each = c * low + (1 - c) * high if self.separate else whole
        return {
            'loss_frequency': self.weight * (b * each).mean(),
            'frequency_low': low.detach().mean(),
            'frequency_high': high.detach().mean(),
            'frequency_weight': b.mean(),
        }

    def distances(
        self, pred: Tensor, gt: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compare low band, high band and whole spectrum, (N,) each."""
        pred, gt = pred.float(), gt.float()
        if self.filter == 'official':
            return _official_distances(pred, gt)
        # the split is linear: the error is split once
        low, high = split_frequencies(pred - gt, self.filter, self.cutoff)
        width = pred.shape[-1]
        return (
            spectral_distance(low, width, self.norm),
            spectral_distance(high, width, self.norm),
            spectral_distance(low + high, width, self.norm),
        )


def _official_distances(
    pred: Tensor, gt: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    def distance(error: Tensor) -> Tensor:
        parts = torch.view_as_real(error).abs()
        return OFFICIAL_FACTOR * parts.flatten(1).mean(1)

    bands = zip(split_by_magnitude(pred), split_by_magnitude(gt), strict=True)
    low, high = (a - b for a, b in bands)
    return distance(low), distance(high), distance(low + high)


def _check_ranges(
    alpha: float, beta: float, cutoff: float, num_timesteps: int
) -> None:
    if alpha <= 0:
        raise ValueError(f'`alpha` must be above 0, got {alpha}')
    if beta < 0:
        raise ValueError(f'`beta` must not be negative, got {beta}')
    if not 0 < cutoff < 0.71:
        raise ValueError(
            '`cutoff` must lie between 0 and 0.71 cycles per pixel, got '
            f'{cutoff}'
        )
    check_least('num_timesteps', num_timesteps, 2)
