"""`plan_clip`: what a restoration will take, before it begins."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

import torch

from star.apis.inference.borders import Borders, find_borders
from star.apis.inference.file_options import FileOptions, MemoryRules
from star.apis.inference.planning import (
    MemoryChoice,
    choose_cuts,
    earlier_cuts,
    is_exact,
    write_bytes,
)
from star.models.contracts import NoiseSchedule, Restorer
from star.models.restoration.options import RestoreOptions
from star.video.colour.depth import set_depth
from star.video.cuts import split_scenes
from star.video.io import VideoReader
from star.video.result_plan import ResultPlan, ResultRequest, plan_result

_TRIED = 8  # frames of a clip that are restored to measure time and bytes
_JOINING = 2  # pieces and result are there together at the end


@dataclass(frozen=True)
class ClipPlan:
    """A clip's restoration in advance: its sizes, its pieces and its cost.

    Args:
        frames: of the clip; None if unknown.
        input_size: width and height in pixels.
        output_size: width and height in pixels.
        choice: options and memory.
        scenes: frames at which scenes begin; empty if nobody looked.
        windows: in time, of all scenes and segments; None if unknown.
        tiles: of a frame.
        steps: evaluations of a sampler; 1 for other methods.
        seconds: predicted; None if nothing was measured.
        disk: bytes of the journal, the result and what waits in files
            meanwhile; None as above.
    """

    frames: int | None
    input_size: tuple[int, int]
    output_size: tuple[int, int]
    choice: MemoryChoice
    scenes: tuple[int, ...] = ()
    windows: int | None = None
    tiles: int = 1
    steps: int = 1
    seconds: float | None = None
    disk: int | None = None

    @property
    def passes(self) -> int | None:
        """Return how often the network is called; None if unknown."""
        if self.windows is None:
            return None
        return self.windows * self.tiles * self.steps


def plan_clip(
    restorer: Restorer,
    src: str | os.PathLike,
    dst: str | os.PathLike,
    options: RestoreOptions,
    files: FileOptions,
) -> ClipPlan:
    """Choose windows and tiles, and predict the memory.

    Nothing is predicted where the result is there already. An unfinished or
    complete result whose windows and tiles were chosen by
    an earlier run keeps them.

    Args:
        restorer: with its weights, on its device.
        src: of the clip.
        dst: the result.
        options: that the user asks for.
        files: of reading and writing, with the rules of the choice.

    Raises:
        VideoError: the input cannot be read or the output not written.
        ValueError: nothing fits the limit that the user has set.
    """
    rules = files.memory or MemoryRules()
    with VideoReader(src, files.frames, files.allow_partial) as reader:
        info = reader.info
        result = _plan_result(reader, dst, options, files)
        earlier = earlier_cuts(restorer, options, result.path, rules)
        if earlier is not None:
            options = earlier
            names = (*rules.fixed, *restorer.options_used)
            rules = replace(rules, fixed=tuple(sorted({*names})))
        frames = info.num_frames
        if frames is not None and files.frames is not None:
            frames = min(frames, files.frames)
        codec = result.encoding.codec if result.encoding else ''
        clip = frames, info.height, info.width
        if result.path.is_file() and not files.overwrite:  # done, or refused
            choice = MemoryChoice(options, None, None)
        else:
            choice = choose_cuts(restorer, options, clip, codec, rules)
    choice = replace(choice, changed=choice.changed or earlier is not None)
    size = info.width, info.height
    plan = ClipPlan(frames, size, result.size, choice)
    return _count_parts(restorer, plan)


def find_scenes(
    src: str | os.PathLike, files: FileOptions
) -> tuple[int, tuple[int, ...]]:
    """Read a clip; return its frames, and where its scenes begin."""
    with VideoReader(src, files.frames, files.allow_partial) as reader:
        found, count = [], 0
        for _, begins in split_scenes(reader.frames(), files.cuts):
            if begins:
                found.append(count)
            count += 1
    return count, tuple(found)


def with_scenes(
    restorer: Restorer, plan: ClipPlan, frames: int, scenes: tuple[int, ...]
) -> ClipPlan:
    """Return a plan that knows the scenes, and counts windows in them."""
    known = replace(plan, frames=frames, scenes=scenes)
    return _count_parts(restorer, known)


def with_time(
    restorer: Restorer,
    plan: ClipPlan,
    src: str | os.PathLike,
    dst: str | os.PathLike,
    files: FileOptions,
) -> ClipPlan:
    """Restore the first frames of a clip, and extrapolate time and disk.

    A sampler takes one step, and two: the others take as long.

    Args:
        restorer: with its weights, on its device.
        plan: of the clip, with its frames.
        src: of the clip.
        dst: the result.
        files: of reading and writing.
    """
    options = plan.choice.options
    with VideoReader(src, files.frames, files.allow_partial) as reader:
        result = _plan_result(reader, dst, options, files)
        reader.depth = result.depth
        frames = list(islice(reader.frames(), _TRIED))
    deep = getattr(restorer, 'takes_16_bit', False)
    images = (f.image if deep else set_depth(f.image, 8) for f in frames)
    clip = torch.stack([torch.from_numpy(i).permute(2, 0, 1) for i in images])
    steps = _few_steps(restorer, options)
    _, out = _restore(restorer, clip, steps[0])  # warms up
    spent = [_restore(restorer, clip, each)[0] for each in steps]
    seconds = spent[0]
    if len(steps) > 1:
        seconds += (plan.steps - 1) * max(0, spent[1] - spent[0])
    begin = time.perf_counter()
    coder = result.make_coder()
    for frame, pixels in zip(frames, out.permute(0, 2, 3, 1), strict=True):
        image = set_depth(pixels.contiguous().numpy(), result.depth)
        coder.write(image, frame.time, frame.duration)
    size = len(coder.finish().data)
    seconds += time.perf_counter() - begin
    total = plan.frames or len(frames)
    share = total / len(frames)
    return replace(
        plan,
        seconds=seconds * share * _repeats(restorer, options, total),
        disk=round(_JOINING * size * share) + _scratch(restorer, plan),
    )


def _scratch(restorer: Restorer, plan: ClipPlan) -> int:
    """Return the bytes of files that only the network needs."""
    count = getattr(restorer, 'scratch_bytes', None)
    width, height = plan.input_size
    clip = plan.frames, height, width
    return 0 if count is None else count(plan.choice.options, clip)


def _restore(
    restorer: Restorer, clip: torch.Tensor, options: RestoreOptions
) -> tuple[float, torch.Tensor]:
    begin = time.perf_counter()
    out = restorer.restore(clip, options)
    return time.perf_counter() - begin, out


def _few_steps(
    restorer: Restorer, options: RestoreOptions
) -> list[RestoreOptions]:
    """Return options with one step, and two; only the own for others."""
    if 'steps' not in restorer.options_used or _steps(restorer, options) < 2:
        return [options]
    found = [replace(options, mode='normal', steps=n) for n in (1, 2)]
    try:
        for each in found:
            restorer.check_options(each)
    except ValueError:
        return [options]
    return found


def _repeats(restorer: Restorer, options: RestoreOptions, total: int) -> float:
    """Return how often a frame is restored because windows overlap."""
    uses = {'window', 'overlap'} <= restorer.options_used
    if not uses or total <= options.window or is_exact(restorer, options):
        return 1.0
    return options.window / (options.window - options.overlap)


def _steps(restorer: Restorer, options: RestoreOptions) -> int:
    schedule: NoiseSchedule | None = getattr(restorer, 'schedule', None)
    if schedule is not None and hasattr(schedule, 'list_timesteps'):
        timesteps = schedule.list_timesteps(
            options.mode, options.steps, options.strength
        )
        return len(timesteps)
    return options.steps if 'steps' in restorer.options_used else 1


def _count_parts(restorer: Restorer, plan: ClipPlan) -> ClipPlan:
    """Count windows, tiles and steps."""
    options, frames = plan.choice.options, plan.frames
    borders, windows = Borders(), None
    if frames is not None:
        borders = find_borders(
            restorer, options, plan.input_size, plan.scenes, frames
        )
        windows = len(plan.scenes) or 1
        windows += len(borders.segments) + len(borders.windows)
    return replace(
        plan,
        windows=windows,
        tiles=(len(borders.rows) + 1) * (len(borders.columns) + 1),
        steps=_steps(restorer, options),
    )


def _plan_result(
    reader: VideoReader,
    dst: str | os.PathLike,
    options: RestoreOptions,
    files: FileOptions,
) -> ResultPlan:
    info = reader.info
    request = ResultRequest(files.codec, files.crf, files.pix_fmt, True)
    size = (
        round(info.width * options.scale),
        round(info.height * options.scale),
    )
    return plan_result(dst, size, info, request)


def describe(plan: ClipPlan) -> Iterator[tuple[str, str]]:
    """Yield the lines of a plan: names and values."""
    choice = plan.choice
    use, options = choice.use, choice.options
    (width, height), (columns, rows) = plan.input_size, plan.output_size
    frames = '?' if plan.frames is None else plan.frames
    kept = f', fidelity {options.fidelity:g}' * bool(options.fidelity)
    yield 'frames', f'{frames} of {width}x{height} -> {columns}x{rows}{kept}'
    if plan.scenes:
        yield 'scenes', f'{len(plan.scenes)}, at {_list(plan.scenes)}'
    passes = '?' if plan.passes is None else plan.passes
    windows = '?' if plan.windows is None else plan.windows
    yield (
        'passes',
        f'{passes}: {windows} windows x {plan.tiles} tiles x {plan.steps} '
        'steps',
    )
    yield (
        'cut',
        f'window {options.window}, overlap {options.overlap}, tile '
        f'{options.tile}, tile overlap {options.tile_overlap}'
        + ' (chosen for the memory)'
        * choice.changed,
    )
    if use is not None:
        parts = ['weights', 'activations']
        if not use.on_gpu:
            parts = ['process', *parts, 'frames', 'encoder']
        words = ' + '.join(
            f'{p} {write_bytes(getattr(use, p))}' for p in parts
        )
        note = ' (activations and the coding of frames in turn)' * use.in_turn
        yield 'memory', f'{write_bytes(use.peak)} at most: {words}{note}'
    if choice.limit is not None:
        yield 'limit', write_bytes(choice.limit)
    if plan.seconds is not None:
        yield 'time', duration(plan.seconds)
    if plan.disk is not None:
        yield 'disk', write_bytes(plan.disk)
    if choice.note:
        yield 'note', choice.note


def duration(seconds: float) -> str:
    """Write seconds as a person does."""
    if seconds < 100:
        return f'{seconds:.0f} s'
    minutes = round(seconds / 60)
    return (
        f'{minutes // 60} h {minutes % 60} min'
        if minutes > 99
        else (f'{minutes} min')
    )


def _list(numbers: tuple[int, ...]) -> str:
    shown = ', '.join(map(str, numbers[:_TRIED]))
    return shown + ', ...' * (len(numbers) > _TRIED)
