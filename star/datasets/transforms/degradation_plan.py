"""The plan of a degradation: the steps and their parameters, drawn first.

A parameter that may vary in time is a tuple of levels: one for all frames, or
one for each.
"""

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from numpy.random import Generator

from star.datasets.transforms.blur_kernels import KINDS
from star.datasets.transforms.degradation_ops import MODES
from star.datasets.transforms.degradation_presets import Preset, Range, Stage

Levels = tuple[float, ...]
TEMPORAL = ('constant', 'walk', 'independent')

_KIND_ODDS = (0.45, 0.25, 0.12, 0.03, 0.12, 0.03)  # in the order of KINDS
_BETA = {'generalized': (0.5, 4.0), 'plateau': (1.0, 2.0)}
_BETA_STEP = {'generalized': 0.05, 'plateau': 0.1}
_SIGMA_STEP, _THETA_STEP, _CUTOFF_STEP = 0.02, math.pi / 10, math.pi / 50
_GAUSSIAN_STEP, _POISSON_STEP, _JPEG_STEP = 0.1, 0.005, 3.0
_SINC_ODDS, _GRAY_ODDS = 0.1, 0.4
_MIN_SIDE = 8


@dataclass(frozen=True)
class Blur:
    """A filter with a kernel of `blur_kernels`; `cutoff` is for 'sinc'."""

    kind: str
    size: int
    sigma_x: Levels = ()
    sigma_y: Levels = ()
    theta: Levels = ()
    beta: Levels = ()
    cutoff: Levels = ()


@dataclass(frozen=True)
class Resize:
    """A resize of all frames to one size.

    A frame with a factor other than 1 is resized to that size times the
    factor first.
    """

    height: int
    width: int
    mode: str
    factor: Levels = (1.0,)


@dataclass(frozen=True)
class Noise:
    """'gaussian' noise of a level in 1/255, or 'poisson' noise times it.

    A generator seeded with (seed, i) draws the noise of frame i.
    """

    kind: str
    gray: bool
    level: Levels
    seed: int


@dataclass(frozen=True)
class Jpeg:
    """JPEG compression by an engine: 'diff' or 'libjpeg'."""

    engine: str
    quality: Levels


@dataclass(frozen=True)
class Codec:
    """A video encoder for the whole clip."""

    codec: str
    bits_per_pixel: float


Step = Blur | Resize | Noise | Jpeg | Codec
_OPS: dict[str, type[Step]] = {
    'blur': Blur,
    'resize': Resize,
    'noise': Noise,
    'jpeg': Jpeg,
    'codec': Codec,
}


def at(levels: Levels, frame: int) -> float:
    """Return the level of a frame."""
    return levels[frame if len(levels) > 1 else 0]


def step_to_record(step: Step) -> dict:
    """Turn a step into a dict that JSON can store."""
    (op,) = (name for name, kind in _OPS.items() if type(step) is kind)
    values = {
        k: list(v) if isinstance(v, tuple) else v
        for k, v in asdict(step).items()
    }
    return {'op': op, **values}


def step_from_record(record: dict) -> Step:
    """Turn the result of `step_to_record` back into a step.

    Raises:
        ValueError: the step or one of its fields is unknown or missing.
    """
    kind = _OPS.get(record.get('op', ''))
    if kind is None:
        raise ValueError(f'`op` must be in {tuple(_OPS)}, got {record}')
    values: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v
        for k, v in record.items()
        if k != 'op'
    }
    if values.keys() != {f.name for f in fields(kind)}:
        raise ValueError(f'`record` has wrong fields for a step: {record}')
    return kind(**values)


def draw_plan(
    preset: Preset,
    size: tuple[int, int],
    num_frames: int,
    scale: int,
    rng: Generator,
    walk: bool = False,
) -> tuple[Step, ...]:
    """Draw the steps for a clip.

    Args:
        preset: ranges and probabilities.
        size: height and width of the ground truth, divisible by `scale`.
        num_frames: of the clip.
        scale: factor between the ground truth and the result.
        rng: generator of all random numbers.
        walk: change levels from frame to frame, within their ranges.
    """
    random = _Random(rng, num_frames if walk else 1)
    final = size[0] // scale, size[1] // scale
    steps: list[Step] = []
    current, last = size, preset.stages[-1]
    for stage in preset.stages:
        is_last = stage is last
        base = final if is_last and not preset.relative else current
        resize = _draw_resize(stage, base, random)
        current = resize.height, resize.width
        steps += [
            *_draw_blur(stage, random),
            resize,
            _draw_noise(stage, random),
        ]
        if not is_last:
            steps.append(_draw_jpeg(stage, preset, random))
            steps += _draw_codec(preset, random)
    return (*steps, *_draw_ending(preset, final, random))


class _Random:
    """Draws levels, choices and seeds.

    Args:
        rng: generator of all random numbers.
        count: number of levels: 1, or one for each frame.
    """

    def __init__(self, rng: Generator, count: int) -> None:
        self.rng = rng
        self.count = count

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def uniform(self, bounds: Range) -> float:
        return float(self.rng.uniform(*bounds))

    def levels(
        self, bounds: Range, step: float, start: float | None = None
    ) -> Levels:
        """Draw the first level, unless given, and walk within the bounds."""
        value = self.uniform(bounds) if start is None else start
        values = [value]
        for _ in range(self.count - 1):
            value += self.uniform((-step, step))
            value = min(max(value, bounds[0]), bounds[1])
            values.append(value)
        return tuple(values)


def _draw_blur(stage: Stage, random: _Random) -> list[Step]:
    if not random.chance(stage.blur):
        return []
    size = _draw_size(random)
    if random.chance(_SINC_ODDS):
        return [_draw_sinc(size, math.pi / (3 if size < 13 else 5), random)]
    kind = KINDS[int(random.rng.choice(len(KINDS), p=_KIND_ODDS))]
    family = kind.rpartition('_')[0]
    sigma_x = random.levels(stage.sigma, _SIGMA_STEP)
    sigma_y: Levels = ()
    theta: Levels = ()
    beta: Levels = ()
    if kind.endswith('aniso'):
        sigma_y = random.levels(stage.sigma, _SIGMA_STEP)
        theta = random.levels((-math.pi, math.pi), _THETA_STEP)
    if family:
        low, high = _BETA[family]
        start = random.uniform((low, 1) if random.chance(0.5) else (1, high))
        beta = random.levels((low, high), _BETA_STEP[family], start)
    return [Blur(kind, size, sigma_x, sigma_y, theta, beta)]


def _draw_size(random: _Random) -> int:
    """Draw the side of a kernel: 7, 9, ..., 21."""
    return 7 + 2 * int(random.rng.integers(8))


def _draw_sinc(size: int, lowest: float, random: _Random) -> Step:
    cutoff = random.levels((lowest, math.pi), _CUTOFF_STEP)
    return Blur('sinc', size, cutoff=cutoff)


def _draw_mode(random: _Random) -> str:
    return MODES[int(random.rng.integers(len(MODES)))]


def _draw_resize(
    stage: Stage, base: tuple[int, int], random: _Random
) -> Resize:
    which, (low, high) = random.rng.random(), stage.scale
    start = 1.0
    if which < stage.enlarge:
        start = random.uniform((1, high))
    elif which < stage.enlarge + stage.shrink:
        start = random.uniform((low, 1))
    scales = random.levels(stage.scale, stage.scale_step, start)
    height, width = (_even(side * start) for side in base)
    factor = tuple(s / start for s in scales)
    return Resize(height, width, _draw_mode(random), factor)


def _even(side: float) -> int:
    """Round to an even number, which 4:2:0 needs no padding for."""
    return max(2 * round(side / 2), _MIN_SIDE)


def _draw_noise(stage: Stage, random: _Random) -> Step:
    gaussian = random.chance(0.5)
    gray = random.chance(_GRAY_ODDS)
    if gaussian:
        kind, level = 'gaussian', random.levels(stage.gaussian, _GAUSSIAN_STEP)
    else:
        kind, level = 'poisson', random.levels(stage.poisson, _POISSON_STEP)
    return Noise(kind, gray, level, int(random.rng.integers(2**32)))


def _draw_jpeg(stage: Stage, preset: Preset, random: _Random) -> Step:
    return Jpeg(preset.engine, random.levels(stage.jpeg, _JPEG_STEP))


def _draw_codec(preset: Preset, random: _Random) -> list[Step]:
    if not preset.codecs:
        return []
    codec = preset.codecs[int(random.rng.integers(len(preset.codecs)))]
    return [Codec(codec, random.uniform(preset.bits_per_pixel))]


def _draw_ending(
    preset: Preset, final: tuple[int, int], random: _Random
) -> list[Step]:
    """Draw the last JPEG, the final resize and low-pass, and the encoder."""
    shrink: list[Step] = [Resize(*final, _draw_mode(random))]
    if random.chance(preset.sinc):
        shrink.append(_draw_sinc(_draw_size(random), math.pi / 3, random))
    jpeg = [_draw_jpeg(preset.stages[-1], preset, random)]
    codec = _draw_codec(preset, random)
    turned = random.chance(0.5)
    if preset.ending == 'image':
        return [*(shrink + jpeg if turned else jpeg + shrink), *codec]
    return [*jpeg, *(shrink + codec if turned else codec + shrink)]
