"""The sampler of one segment, with windows in time and tiles in space."""

from collections.abc import Callable, Iterable
from itertools import count, repeat

import torch
from torch import Tensor

from star.diffusion.samplers import SAMPLERS, official_start
from star.diffusion.schedule import LevelTable
from star.models.contracts import Events, NoiseSchedule
from star.models.restoration.guided_velocity import Place
from star.models.restoration.options import RestoreOptions
from star.models.restoration.segments import frame_noise
from star.video.blending import fade
from star.video.tiling import Tile
from star.video.windows import blend_weights, official_windows, plan_windows

Velocity = Callable[[Tensor, Tensor, int, Place], Tensor]
Watch = Callable[[int, int, Tensor], None]


class SegmentSampler:
    """Denoises the segments of one clip.

    Args:
        schedule: of the backbone.
        velocity: guided velocity of a window's tile from z_t, z_lq, t and
            the tile's place.
        options: of the restoration.
        tiles: of a latent; their weights sum to 1 everywhere.
        events: receives the progress of the stage 'denoise'.
        watch: called after each evaluation with the first frame of the
            segment, the timestep and x0, (1, C, T, h, w).
        spread: computes the velocities; `map`, or what shares them.
    """

    def __init__(
        self,
        schedule: NoiseSchedule,
        velocity: Velocity,
        options: RestoreOptions,
        tiles: list[Tile],
        events: Events,
        watch: Watch | None = None,
        spread: Callable[..., Iterable[Tensor]] = map,
    ) -> None:
        self.schedule = schedule
        self.velocity = velocity
        self.options = options
        self.tiles = tiles
        self.events = events
        self.watch = watch
        self.spread = spread
        self.timesteps = schedule.list_timesteps(
            options.mode, options.steps, options.strength
        )
        self.levels: LevelTable = schedule  # of the denoiser
        if options.sampler == 'cogvideox_dpmpp_2m':
            self.levels = schedule.for_timesteps(self.timesteps)[1]

    def sample(
        self, z_lq: Tensor, frames: range, ratio: int, earlier: Tensor | None
    ) -> Tensor:
        """Denoise one segment.

        Args:
            z_lq: low-quality latents, (1, C, T, h, w) float32 on the CPU.
            frames: the segment's frames within the clip.
            ratio: frames of a latent.
            earlier: latents of an earlier result for the first frames,
                (1, C, t, h, w); x0 is faded from them at every evaluation.

        Returns:
            Restored latents, of the shape of `z_lq`.
        """
        evaluations = count(1)

        def noise(draw: int) -> Tensor:
            if self.options.noise == 'none':
                return torch.zeros_like(z_lq)
            seed, shape = self.options.seed, z_lq.shape
            return frame_noise(seed, draw, frames.start, shape, ratio)

        def denoise(x_t: Tensor, t: int) -> Tensor:
            x0 = self._denoise(x_t, z_lq, t, frames.start)
            share = min(1.0, next(evaluations) / len(self.timesteps))
            done = frames.start + int(share * len(frames))
            self.events.progress('denoise', done, None)
            if self.watch:
                self.watch(frames.start, t, x0)
            return x0 if earlier is None else fade(earlier, x0, 2)

        sample = SAMPLERS[self.options.sampler]
        return sample(
            denoise,
            self._start(z_lq, noise(0)),
            self.timesteps,
            self.schedule,
            lambda step: noise(step + 1),
        )

    def _start(self, z_lq: Tensor, noise: Tensor) -> Tensor:
        """Noise the low-quality latents to the first timestep."""
        t = self.timesteps[0]
        alpha, sigma = self.levels.at(t)
        x = alpha * z_lq
        x += noise.mul_(sigma)
        if self.options.compat == 'official':
            x = official_start(x, self.schedule, t)
        return x

    def _denoise(
        self, x_t: Tensor, z_lq: Tensor, t: int, first: int
    ) -> Tensor:
        """Estimate x0, stitched from windows and tiles."""
        alpha, sigma = self.levels.at(t)
        v = torch.zeros_like(x_t)
        places = [
            (window, tile, weight)
            for window, weight in self._windows(x_t.shape[2])
            for tile in self.tiles
        ]
        where = [_where(window, tile) for window, tile, _ in places]
        pieces = self.spread(
            self.velocity,
            (x_t[w] for w in where),
            (z_lq[w] for w in where),
            repeat(t),
            [(first, win[0], tile.top, tile.left) for win, tile, _ in places],
        )
        for (_, tile, weight), w, piece in zip(
            places, where, pieces, strict=True
        ):
            v[w] += weight[:, None, None] * tile.weight * piece.cpu()
        x0 = alpha * x_t
        x0 -= v.mul_(sigma)
        return x0

    def _windows(self, length: int) -> list[tuple[tuple[int, int], Tensor]]:
        """List the windows of a segment with their weights."""
        size, overlap = self.options.window, self.options.overlap
        if self.options.compat == 'official':
            windows = official_windows(length, size)
        else:
            windows = plan_windows(length, size, overlap)
        weights = blend_weights(length, windows, self.options.blend)
        return list(zip(windows, weights, strict=True))


def _where(window: tuple[int, int], tile: Tile) -> tuple:
    """Return the index of a window's tile in latents, (1, C, T, h, w)."""
    rows, columns = (tile.top, tile.bottom), (tile.left, tile.right)
    return (..., *(slice(*ends) for ends in (window, rows, columns)))
