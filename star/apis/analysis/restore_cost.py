"""Operations and memory of a diffusion baseline, computed without running it.

The networks run on tensors without content, so a full-size method is counted
on a machine that could not hold it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from mmengine.config import Config
from torch._subclasses.fake_tensor import FakeTensorMode

from star.apis.inference.build import build_model, without_text
from star.models.editors.base import FrameWindow
from star.models.editors.parts_baseline import PartsBaseline
from star.models.restoration.choose import choose_options
from star.models.restoration.events import EventRelay
from star.models.restoration.options import RestoreOptions
from star.utils.memory_counter import MemoryCounter, empty_tensors
from star.utils.operation_counter import OperationCounter

_FEW_STEPS = (1, 2)  # enough to extrapolate to any number


@dataclass(frozen=True)
class RestoreCost:
    """The operations and the memory of a clip's restoration.

    Args:
        tflop: of the whole clip, a multiplication and an addition being two.
        weights: bytes of the networks.
        activations: largest number of bytes that live at once besides them.
    """

    tflop: float
    weights: int
    activations: int

    @property
    def peak(self) -> int:
        """Bytes of weights and activations."""
        return self.weights + self.activations


def restore_cost(
    config: Config,
    clip: tuple[int, int, int],
    given: Mapping[str, Any] | None = None,
    dtype: torch.dtype = torch.bfloat16,
) -> RestoreCost:
    """Compute the cost of a restoration with a diffusion baseline.

    Text is not counted. Every kernel's result counts as memory, but nothing
    inside of kernels and no fragmentation.

    Args:
        config: its `model` is a `PartsBaseline`.
        clip: frames, height and width of the low-quality clip.
        given: options of the restoration that differ from the config's.
        dtype: of the networks' weights.

    Raises:
        ValueError: the model is another one, or an option is wrong.
    """
    with torch.device('meta'):
        model: Any = build_model(without_text(config)).eval()
    if not isinstance(model, PartsBaseline):
        raise ValueError(f'config {config.filename} is no diffusion baseline')
    options = choose_options(model, given or {})
    size, overlap = model.segment_of(options)
    frames, height, width = clip
    windows = max(1, math.ceil((frames - overlap) / (size - overlap)))
    window = (min(frames, size), 3, height, width)
    with FakeTensorMode(), torch.device('cpu'):
        _empty_parts(model, dtype)
        weights = sum(p.nbytes for p in model.parameters())
        flops, activations = _count(model, window, options)
    return RestoreCost(windows * flops / 1e12, weights, activations)


def _count(
    model: PartsBaseline, window: tuple[int, ...], options: RestoreOptions
) -> tuple[float, int]:
    """Count the operations and the largest memory of one window."""
    if 'steps' not in model.options_used or options.steps <= max(_FEW_STEPS):
        return _run(model, window, options)
    few, more = (
        _run(model, window, replace(options, steps=n)) for n in _FEW_STEPS
    )
    rest = options.steps - _FEW_STEPS[1]
    return more[0] + rest * (more[0] - few[0]), more[1]


def _run(
    model: PartsBaseline, window: tuple[int, ...], options: RestoreOptions
) -> tuple[int, int]:
    frames = iter([FrameWindow(torch.zeros(window, dtype=torch.uint8), True)])
    flops = OperationCounter()
    with torch.inference_mode(), MemoryCounter() as memory, flops:
        for _ in model.restore_windows(frames, options, {}, EventRelay()):
            pass
    return flops.total, memory.peak


def _empty_parts(model: PartsBaseline, dtype: torch.dtype) -> None:
    """Give the networks tensors without content, as `place` would."""
    empty_tensors(model)
    for name in model.parts:
        single = name in model.float32_parts
        part = model.get_submodule(name)
        empty_tensors(part, torch.float32 if single else dtype)
    model.loaded = True
