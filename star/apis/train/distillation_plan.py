"""Computes the cost of distilling a teacher, without running it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor

from star.apis.inference.build import build_model, load_config, without_text
from star.apis.train.step_memory import ClipSize
from star.models.contracts import NoiseSchedule
from star.models.restoration.options import RestoreOptions
from star.utils.operation_counter import OperationCounter
from star.utils.shape_run import ShapeRun, without_content

_HOUR = 3600  # seconds


@dataclass(frozen=True)
class TeacherCost:
    """The cost of restoring one training clip with a teacher.

    Attributes:
        config: its name.
        evaluations: of its denoiser, those with the negative prompt counted.
        tflop: of these evaluations, in units of 10^12 operations.
        clips: in the cache; None if it is not there yet.
    """

    config: str
    evaluations: int
    tflop: float
    clips: int | None


def source_dataset(config: Config) -> Mapping[str, Any]:
    """Return the config of the data set that training clips come from.

    Args:
        config: of a training, maybe from a cache. Without the cache, the
            teacher's data set is what will be cached.
    """
    dataset = config.train_dataloader.dataset
    if 'cache_root' not in dataset:
        return dataset
    index = _read_index(dataset.cache_root)
    if index is not None:
        return index['configs']['dataset']
    if config.get('teacher') is not None:
        return load_config(config.teacher).train_dataloader.dataset
    return dataset


def teacher_cost(config: Config, clip: ClipSize) -> TeacherCost | None:
    """Count the evaluations and operations of a student's teacher.

    Args:
        config: of the student, with the name of the teacher's as `teacher`.
        clip: size of a training clip.

    Returns:
        The cost without autoencoder and text; None without a teacher.

    Raises:
        ValueError: there is no such config.
    """
    name = config.get('teacher')
    if name is None:
        return None
    settings = without_text(load_config(name))
    with torch.device('meta'):
        model: Any = build_model(settings).eval()
    count = count_evaluations(model.schedule, model.restore_options)
    with ShapeRun(), torch.inference_mode(), OperationCounter() as counter:
        _evaluate(without_content(model), clip)
    index = _read_index(config.train_dataloader.dataset.get('cache_root', ''))
    clips = None if index is None else index['num_items']
    return TeacherCost(Path(name).stem, count, count * counter.tflop, clips)


def count_evaluations(schedule: NoiseSchedule, options: RestoreOptions) -> int:
    """Count a denoiser's evaluations, those without the prompt too.

    Args:
        schedule: of the model.
        options: of a restoration.
    """
    timesteps = schedule.list_timesteps(
        options.mode, options.steps, options.strength
    )
    count = len(timesteps)
    if options.sampler == 'heun':
        count = 2 * count - 1
    off = 0 if options.guidance_exponent else 1
    return count if options.guidance_scale == off else 2 * count


def describe_teacher_cost(cost: TeacherCost) -> str:
    """Format a teacher's cost as a line for people."""
    clips = 'the cache is not there yet'
    if cost.clips is not None:
        clips = f'{cost.clips:,} clips in the cache'
    return (
        f'teacher     {cost.config}: {cost.evaluations} evaluations, '
        f'{cost.tflop:,.4g} TFLOP a clip; {clips}'
    )


def hours(tflop: float, throughput: float) -> float:
    """Return the hours that operations take.

    Args:
        tflop: in units of 10^12.
        throughput: in units of 10^12 in a second, of all GPUs together.
    """
    return tflop / throughput / _HOUR


def _evaluate(model: Any, clip: ClipSize) -> Tensor:
    """Call ControlNet and backbone once for latents of a clip."""
    side = model.autoencoder.downsample
    length = 1 + (clip.num_frames - 1) // model.autoencoder.temporal_downsample
    size = (length, clip.height // side, clip.width // side)
    channels = model.autoencoder.latent_channels
    z = torch.zeros(1, channels, *size, device='meta')
    t = torch.zeros(1, dtype=torch.int64, device='meta')
    text = model.text_encoder([''])
    return model.velocity(z, t, (text, text), z)


def _read_index(root: str | Path) -> dict[str, Any] | None:
    """Read a cache's index as JSON; None if there is none."""
    try:
        return json.loads((Path(root) / 'index.json').read_text('utf-8'))
    except (OSError, ValueError):
        return None
