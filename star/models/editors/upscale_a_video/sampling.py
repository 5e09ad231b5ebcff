"""DDIM with velocities, and windows in time that are blended as published."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from star.diffusion.respaced import scaled_linear_product

# the SD x4 upscaler's, in force unless a release's file says otherwise
SCHEDULER: dict[str, Any] = {
    'num_train_timesteps': 1000,
    'beta_start': 0.0001,
    'beta_end': 0.02,
    'beta_schedule': 'scaled_linear',
    'clip_sample': False,
    'set_alpha_to_one': False,
    'steps_offset': 1,
    'prediction_type': 'v_prediction',
}
Velocity = Callable[[Tensor, int], Tensor]
Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class DDIMStep:
    """A step of DDIM: from one level of noise to a lower one.

    Args:
        t: timestep.
        signal: share of the signal's variance at `t`, (0, 1).
        next_signal: share after the step.
    """

    t: int
    signal: float
    next_signal: float

    def denoise(self, x: Tensor, v: Tensor) -> Tensor:
        """Return x0 of a sample and its velocity."""
        return math.sqrt(self.signal) * x - math.sqrt(1 - self.signal) * v

    def advance(self, x: Tensor, v: Tensor, x0: Tensor) -> Tensor:
        """Return the sample after the step.

        Args:
            x: sample before it.
            v: its velocity; the noise is that of `x` and `v`, whatever
                happened to `x0`.
            x0: what the step goes towards.
        """
        noise = math.sqrt(self.signal) * v + math.sqrt(1 - self.signal) * x
        share = self.next_signal
        return math.sqrt(share) * x0 + math.sqrt(1 - share) * noise


def plan_steps(
    steps: int, scheduler: Mapping[str, Any] = SCHEDULER
) -> list[DDIMStep]:
    """Plan the steps of DDIM without noise.

    Args:
        steps: number of them, less than there are timesteps.
        scheduler: settings of diffusers' DDIMScheduler, as a release's
            `scheduler/scheduler_config.json` has them.

    Returns:
        Steps with evenly spaced timesteps, decreasing to the offset.

    Raises:
        ValueError: too many steps, or a scheduler of another kind.
    """
    _expect(scheduler, 'clip_sample', 'prediction_type')
    table = signal_shares(scheduler)
    if not 1 <= steps < len(table):
        raise ValueError(
            f'`steps` must lie in [1, {len(table) - 1}], got {steps}'
        )
    stride, offset = len(table) // steps, scheduler['steps_offset']
    last = 1.0 if scheduler['set_alpha_to_one'] else table[0]
    timesteps = [i * stride + offset for i in reversed(range(steps))]
    return [
        DDIMStep(t, table[t], table[t - stride] if t >= stride else last)
        for t in timesteps
    ]


def signal_shares(scheduler: Mapping[str, Any] = SCHEDULER) -> list[float]:
    """Return the share of the signal's variance at each timestep.

    Args:
        scheduler: settings of a scheduler of diffusers: that of the latents,
            or that of the low-quality clip.

    Raises:
        ValueError: its betas are of another kind.
    """
    _expect(scheduler, 'beta_schedule')
    return scaled_linear_product(
        scheduler['num_train_timesteps'],
        scheduler['beta_start'],
        scheduler['beta_end'],
    ).tolist()


def add_noise(x: Tensor, noise: Tensor, signal: float) -> Tensor:
    """Mix a sample with noise; `signal` is its share of the variance."""
    return math.sqrt(signal) * x + math.sqrt(1 - signal) * noise


def sample(
    x: Tensor,
    steps: Sequence[DDIMStep],
    velocity: Velocity,
    changes: Mapping[int, Change] | None = None,
    seen: Callable[[int, Tensor, Tensor], None] | None = None,
) -> Tensor:
    """Denoise with DDIM, eta = 0.

    Args:
        x: noise, (1, C, T, h, w) float32.
        steps: result of `plan_steps`.
        velocity: maps a sample and its timestep to the velocity, with
            windows and guidance applied.
        changes: index of a step: what it does to its x0.
        seen: receives after each step its index, x0 and the sample.

    Returns:
        The denoised sample.
    """
    for i, step in enumerate(steps):
        v = velocity(x, step.t)
        x0 = step.denoise(x, v)
        if changes and i in changes:
            x0 = changes[i](x0)
        x = step.advance(x, v, x0)
        if seen is not None:
            seen(i, x0, x)
    return x


def window_starts(length: int, window: int, overlap: int) -> list[int]:
    """List where the windows begin that are denoised one after another.

    They begin every `window` - `overlap` frames as long as there are frames.
    Those that the end would cut short begin earlier, so the last one may
    be there twice, as published.

    Args:
        length: frames of the clip.
        window: frames of a window; a clip up to it is one window.
        overlap: frames that neighbours share, < `window`.
    """
    if length <= window:
        return [0]
    starts = range(0, length, window - overlap)
    return [min(start, length - window) for start in starts]


def blend_running(
    pieces: Iterable[tuple[int, Tensor]], like: Tensor
) -> Tensor:
    """Blend windows in order: half of what was there, half of the new.

    Args:
        pieces: for each window where it begins, and its values
            (N, C, t, h, w).
        like: the clip, (N, C, T, h, w).

    Returns:
        The clip's values. Where three windows meet, the last has a weight
        of a half; a window that comes twice counts 3/4 in its overlap.
    """
    out, done = like.new_zeros(like.shape), 0
    for start, piece in pieces:
        end = start + piece.shape[2]
        both = max(min(done, end) - start, 0)  # frames that are there already
        here = out[:, :, start:end]
        here[:, :, :both] = 0.5 * here[:, :, :both] + 0.5 * piece[:, :, :both]
        here[:, :, both:] = piece[:, :, both:]
        done = max(done, end)
    return out


def call_windows(
    call: Callable[[slice], Tensor], x: Tensor, window: int, overlap: int
) -> Tensor:
    """Predict a clip's velocity window by window.

    Args:
        call: maps the frames of a window to its velocity.
        x: the clip, (N, C, T, h, w).
        window: as for `window_starts`.
        overlap: as for `window_starts`.

    Returns:
        The velocity like `x`. A window that is there twice is computed once.
    """

    def pieces() -> Iterable[tuple[int, Tensor]]:
        before, found = None, x
        for start in window_starts(x.shape[2], window, overlap):
            if start != before:
                found = call(slice(start, start + window))
            before = start
            yield start, found

    return blend_running(pieces(), x)


def _expect(scheduler: Mapping[str, Any], *names: str) -> None:
    """Refuse settings that would need other code."""
    for name in names:
        wanted = SCHEDULER[name]
        if scheduler.get(name, wanted) != wanted:
            raise ValueError(
                f'the scheduler: `{name}` must be {wanted!r}, got '
                f'{scheduler[name]!r}'
            )
