"""Predict how much memory a restoration takes, from shapes alone."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from star.models.contracts import Restorer
from star.models.restoration.local_plan import GROWTH
from star.models.restoration.options import RestoreOptions
from star.utils.memory_limit import memory_of_process
from star.utils.shape_run import ShapeRun, without_content
from star.video.coder_memory import coder_memory
from star.video.fidelity import memory_for

_MIB = 2**20
# what the allocator takes, in the bytes of tensors; measured
_HEAP = 1.9
_INSIDE = 1.2  # the same with what operations take inside
_FIRST_USE = 10 * _MIB  # of libraries and kernels that run for the first time
_PIXELS = 2  # copies of an output frame between network and encoder
_ENCODER, _CODED = 16 * _MIB, 2  # bytes, and copies of each frame
_FEW_STEPS = 3  # a sampler holds no more later
_AT_MOST = 16  # frames more than a window that are tried


@dataclass(frozen=True)
class MemoryUse:
    """The largest memory of a restoration, in bytes.

    Args:
        process: the program and its libraries.
        weights: of the networks, where the network runs.
        activations: tensors that live at once: activations, latents, frames
            that are waiting.
        frames: copies of a result's frame on its way to the encoder.
        encoder: what the encoder holds.
        on_gpu: whether weights and activations lie on a GPU, and count.
        in_turn: whether activations are freed before frames are coded.
    """

    process: int
    weights: int
    activations: int
    frames: int
    encoder: int
    on_gpu: bool = False
    in_turn: bool = False

    @property
    def peak(self) -> int:
        """Return what lives at once, on a GPU of what lies there."""
        if self.on_gpu:
            return self.weights + self.activations
        works = self.activations, self.frames + self.encoder
        live = max(works) if self.in_turn else sum(works)
        return self.process + self.weights + live


def predict_memory(
    restorer: Restorer,
    options: RestoreOptions,
    clip: tuple[int | None, int, int],
    codec: str,
) -> MemoryUse:
    """Predict the largest memory of a restoration in this process.

    Args:
        restorer: with its weights, on its device.
        options: of the restoration.
        clip: frames (None if unknown), height and width of the input.
        codec: FFmpeg's name of the encoder; '' for pictures.

    Raises:
        ValueError: the options do not fit the clip.
        NotImplementedError: the method cannot run on shapes alone.
    """
    _, height, width = clip
    parameters = list(restorer.parameters())
    on_gpu = bool(parameters) and parameters[0].device.type == 'cuda'
    weights = sum(p.nbytes for p in parameters)
    size = round(width * options.scale), round(height * options.scale)
    picture = 3 * size[0] * size[1]
    encoder = coder_memory(*size, codec) if codec else 4 * picture
    if clip[0] is not None:  # a short clip does not fill it
        encoder = min(encoder, round(_ENCODER + _CODED * clip[0] * picture))
    activations, in_turn = _activations(restorer, options, clip, on_gpu)
    process = memory_of_process()  # now, for counting has imported more
    return MemoryUse(
        process - (0 if on_gpu else min(weights, process)),
        weights,
        activations,
        _PIXELS * picture,
        encoder,
        on_gpu,
        in_turn,
    )


def _activations(
    restorer: Restorer,
    options: RestoreOptions,
    clip: tuple[int | None, int, int],
    on_gpu: bool,
) -> tuple[int, bool]:
    """Return the bytes, and whether they are freed before frames are coded."""
    formula = getattr(restorer, 'window_memory', None)
    known = formula and formula(options, clip)
    if known:
        number, in_turn = known
        if options.fidelity:
            height, width = (round(n * options.scale) for n in clip[1:])
            number += memory_for((height, width))
        if on_gpu:
            return number, in_turn
        return round(number * GROWTH) + _FIRST_USE, in_turn
    run = count_memory(restorer, options, clip, on_gpu)
    if on_gpu:
        return run.peak, False
    taken = max(run.held * _HEAP, run.peak * _INSIDE)
    return round(taken) + _FIRST_USE, False


def count_memory(
    restorer: Restorer,
    options: RestoreOptions,
    clip: tuple[int | None, int, int],
    on_gpu: bool = False,
) -> ShapeRun:
    """Count the tensors that live at once while a clip is restored.

    The restorer runs on tensors without content. A network's call is counted
    once for each shape.

    Args:
        restorer: unchanged.
        options: of the restoration.
        clip: frames (None if unknown), height and width of the input.
        on_gpu: count only what would lie on a GPU.

    Returns:
        The counts in bytes, without the weights.

    Raises:
        ValueError: the options do not fit the clip.
        NotImplementedError: the method cannot run on shapes alone.
    """
    frames, height, width = clip
    most = options.window + max(options.window - options.overlap, _AT_MOST)
    length = most if frames is None else min(frames, most)
    model: Any = restorer
    copy = without_content(model)
    copy.team = None  # other processes have nothing to do with it
    run = ShapeRun(on_gpu)
    if 'cache' not in restorer.options_used or not options.cache:
        _remember_calls(copy, run)
    waiting: deque[Tensor] = deque()  # as the frames of a file do

    def read() -> Iterator[Tensor]:
        for _ in range(length):
            pixels = torch.empty(
                (height, width, 3), dtype=torch.uint8, device='meta'
            )
            frame = pixels.permute(2, 0, 1)  # as those of a file
            waiting.append(frame)
            yield frame

    with run, torch.inference_mode():
        few = _shortened(copy, options)
        for restored in copy.restore_stream(read(), few):
            for _ in restored:
                waiting.popleft()
            del restored
    return run


def _shortened(restorer: Restorer, options: RestoreOptions) -> RestoreOptions:
    """Take a few steps only."""
    if 'steps' not in restorer.options_used:
        return options
    if 'mode' in restorer.options_used and options.mode == 'fast':
        return replace(options, mode='normal', steps=_FEW_STEPS)
    return replace(options, steps=min(options.steps, _FEW_STEPS))


def _remember_calls(model: Any, run: ShapeRun) -> None:
    """Count the denoiser and the autoencoder of a diffusion model once."""
    encoder: Any = getattr(model, 'autoencoder', None)
    calls = [(model, 'velocity')] if hasattr(model, 'velocity') else []
    if hasattr(encoder, 'temporal_downsample'):
        calls.append((encoder, 'encode'))
    for owner in (model, encoder):
        calls += [(owner, name) for name in getattr(owner, 'counted_once', ())]
    for owner, name in calls:
        setattr(owner, name, _Remembered(getattr(owner, name), run))


class _Remembered:
    """Runs a function of tensors once for each shape of its first one.

    Args:
        call: returns a tensor.
        run: counts.
    """

    def __init__(self, call: Callable[..., Tensor], run: ShapeRun) -> None:
        self._call, self._run = call, run
        self._known: dict[Any, tuple[int, int, torch.Size, torch.dtype]] = {}

    def __call__(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        key = x.shape, x.dtype
        if key in self._known:
            size, held, shape, dtype = self._known[key]
            self._run.add_transient(size, held)
            return torch.empty(shape, dtype=dtype, device='meta')
        run = self._run
        before, peak, held = run.now, run.peak, run.held
        run.peak = run.held = before
        out = self._call(x, *args, **kwargs)
        sizes = run.peak - before, run.held - before
        run.peak, run.held = max(peak, run.peak), max(held, run.held)
        self._known[key] = *sizes, out.shape, out.dtype
        return out
