"""A dry run of training: parameters, data, weights and memory."""

import copy
import os
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config
from torch import nn

from star.apis.inference.build import build_model, on_meta
from star.apis.inference.held import is_checkpoint
from star.apis.inference.model_files import prefixes_of
from star.apis.inference.network_size import refuse_other_size
from star.apis.inference.random_parts import refuse_random
from star.apis.inference.stored_prompts import (
    PROMPTS,
    TEXT,
    find_prompts,
    with_prompts,
)
from star.apis.inference.weights import RANDOM, start_files, weight_entries
from star.apis.train.distillation_plan import (
    TeacherCost,
    describe_teacher_cost,
    hours,
    source_dataset,
    teacher_cost,
)
from star.apis.train.sharding import is_sharded
from star.apis.train.step_memory import ClipSize, StepCost, step_cost
from star.apis.train.training import (
    check_training,
    checkpoint_of,
    config_error,
)
from star.registry import DATASETS
from star.utils.origins import not_allowed
from star.utils.randomness import RandomTracker
from star.utils.weight_files import WeightFile, find_local

GIB = 2**30
_FLOAT = 4  # bytes; weights, gradients and optimiser state are float32
_STATES = {'Adam': 2, 'AdamW': 2, 'SGD': 1}  # numbers per trained parameter


@dataclass(frozen=True)
class Part:
    """Parameters of one part of a model."""

    name: str
    trained: int
    total: int


@dataclass(frozen=True)
class TrainingMemory:
    """Estimated bytes per GPU.

    Args:
        weights: of all parameters, float32.
        gradients: of the trained parameters, float32.
        optimizer: state of the optimiser, and averaged weights.
        activations: peak of one step without gradients; None if unknown.
        shards: number of GPUs that share the first three.
        gathered: weights that one GPU gathers at once if they are sharded.
    """

    weights: int
    gradients: int
    optimizer: int
    activations: int | None
    shards: int = 1
    gathered: int = 0

    @property
    def total(self) -> int:
        """Sum of all, on one GPU."""
        kept = self.weights + self.gradients + self.optimizer
        return kept // self.shards + self.gathered + (self.activations or 0)


@dataclass(frozen=True)
class TrainingPlan:
    """The facts that `star train --dry-run` prints."""

    config: str
    parts: list[Part]
    weights: list[str]
    data: str
    clip: ClipSize | None
    batch_size: int
    gpus: int
    iterations: int | None  # None if epochs are counted
    epochs: int | None
    work_dir: str
    memory: TrainingMemory
    tflop: float | None = None  # of a step on one GPU
    teacher: TeacherCost | None = None


def plan_training(config: Config, weights: str | None = None) -> TrainingPlan:
    """Plan a training run without running it.

    Nothing is downloaded or written; weights and data may be missing.

    Args:
        config: from `run_config`.
        weights: as for `start_model`.

    Raises:
        ValueError: the config has no training, or a setting is wrong.
    """
    check_training(config)
    if config.get('train_dataloader') is None:
        raise ValueError(f'config {config.filename} has no train_dataloader')
    refuse_other_size(config, weights)
    config = copy.deepcopy(config)
    stored = find_prompts(start_files(config, weights), weights)
    if stored is not None:
        with_prompts(config, stored)
    with on_meta(), RandomTracker() as tracker:
        model = build_model(config)
        random = tracker.find_random(model)
    if checkpoint_of(config) is None:  # it records what it lacks
        _refuse_frozen(model, random, start_files(config, weights), weights)
    parts = count_parts(model)
    gpus = find_gpus(config)
    clip = find_clip(config)
    cost = _step_cost(config, clip)
    return TrainingPlan(
        config=str(config.filename),
        parts=parts,
        weights=_describe_weights(config, weights),
        data=_describe_data(config),
        clip=clip,
        batch_size=config.train_dataloader.get('batch_size', 1),
        gpus=gpus,
        iterations=config.train_cfg.get('max_iters'),
        epochs=config.train_cfg.get('max_epochs'),
        work_dir=config.work_dir,
        memory=_estimate(config, parts, cost, gpus),
        tflop=None if cost is None else cost.tflop,
        teacher=None if clip is None else teacher_cost(config, clip),
    )


def _refuse_frozen(
    model: nn.Module, random: set[str], files: dict, weights: str | None
) -> None:
    """Refuse frozen random numbers, as the training would.

    Args:
        model: on meta.
        random: names of the tensors that the config does not set.
        files: that the training would start from, by slot.
        weights: as for `start_model`.
    """
    if weights is not None and is_checkpoint(weights):
        return  # it records what it lacks
    starts = tuple(p for slot in files for p in prefixes_of(model, slot))
    left = {name for name in random if not name.startswith(starts)}
    refuse_random(model, not_allowed(model, left), 'the config', True)


def describe_plan(plan: TrainingPlan, throughput: float | None = None) -> str:
    """Format a plan as lines for people.

    Args:
        plan: of a training.
        throughput: of one GPU in 10^12 operations a second, to estimate
            hours; None for no estimate.
    """
    clip, memory = plan.clip, plan.memory
    size = 'clips'
    if clip is not None:
        size = f'clips of {clip.num_frames} x {clip.height} x {clip.width}'
    total = plan.batch_size * plan.gpus
    batch = f'{plan.batch_size} per GPU x {plan.gpus} = {total} {size}'
    lines = [f'config      {plan.config}', *_parameter_table(plan.parts)]
    lines += [f'weights     {line}' for line in plan.weights or ['new']]
    lines += [
        f'data        {plan.data}',
        f'batch       {batch}',
        _describe_length(plan, total),
        *_describe_cost(plan, throughput),
        f'work folder {plan.work_dir}',
        *_memory_table(memory),
    ]
    return '\n'.join(lines)


def _describe_length(plan: TrainingPlan, batch: int) -> str:
    if plan.iterations is None:
        return f'epochs      {plan.epochs:,}'
    clips = plan.iterations * batch
    return f'iterations  {plan.iterations:,}: {clips:,} clips'


def _describe_cost(plan: TrainingPlan, throughput: float | None) -> list[str]:
    """Describe operations, those of the teacher too, and hours."""
    lines = []
    if plan.tflop is not None:
        lines.append(f'step        {plan.tflop:,.4g} TFLOP per GPU')
    if plan.teacher is not None:
        lines.append(describe_teacher_cost(plan.teacher))
    if throughput is None:
        return lines
    found = []
    if plan.tflop is not None and plan.iterations is not None:
        steps = hours(plan.tflop * plan.iterations, throughput)
        found.append(f'{steps:,.3g} of training on {plan.gpus} GPUs')
    if plan.teacher is not None:
        clips = plan.teacher.clips or 1000
        teacher = hours(plan.teacher.tflop * clips, throughput * plan.gpus)
        found.append(
            f'{teacher:,.3g} of the teacher for {clips:,} clips on as many'
        )
    known = ', '.join(found) or 'not known'
    lines.append(f'hours       at {throughput:g} TFLOP/s per GPU: {known}')
    return lines


def count_parts(model: nn.Module) -> list[Part]:
    """Count the parameters of a model's children; skip those without."""
    parts = [
        Part(
            name,
            sum(p.numel() for p in child.parameters() if p.requires_grad),
            sum(p.numel() for p in child.parameters()),
        )
        for name, child in model.named_children()
    ]
    return [part for part in parts if part.total]


def find_gpus(config: Config) -> int:
    """Return the number of GPUs that a config is meant for.

    It is that of torchrun; without torchrun, the batch size of all GPUs in
    `auto_scale_lr` divided by that of one.
    """
    if 'WORLD_SIZE' in os.environ:
        return int(os.environ['WORLD_SIZE'])
    scale = config.get('auto_scale_lr') or {}
    size = config.train_dataloader.get('batch_size', 1)
    return max(1, scale.get('base_batch_size', size) // size)


def find_clip(config: Config) -> ClipSize | None:
    """Return the size of a training clip, or None if the config lacks it."""
    dataset = source_dataset(config)
    crops = [t for t in dataset.get('pipeline', []) if 'height' in t]
    if not crops or 'num_frames' not in dataset:
        return None
    sides = crops[-1]['height'], crops[-1]['width']
    return ClipSize(dataset['num_frames'], *sides)


def _parameter_table(parts: list[Part]) -> list[str]:
    whole = Part(
        'all', sum(p.trained for p in parts), sum(p.total for p in parts)
    )
    head = f'parameters  {"":16}{"trained":>16}{"total":>16}'
    rows = [
        f'{"":12}{p.name:16}{p.trained:16,}{p.total:16,}'
        for p in [*parts, whole]
    ]
    return [head, *rows]


def _memory_table(memory: TrainingMemory) -> list[str]:
    sharded = f', 1/{memory.shards} of it' if memory.shards > 1 else ''
    rows = {
        f'weights, float32{sharded}': memory.weights // memory.shards,
        f'gradients, float32{sharded}': memory.gradients // memory.shards,
        f'optimiser state{sharded}': memory.optimizer // memory.shards,
    }
    if memory.gathered:
        rows['weights at work, or not sharded'] = memory.gathered
    if memory.activations is not None:
        rows['activations at their peak'] = memory.activations
    lines = ['memory      per GPU, an estimate:']
    lines += [f'{"":12}{k:42}{v / GIB:7.1f} GiB' for k, v in rows.items()]
    total = 'sum' if memory.activations is not None else 'sum, no activations'
    lines.append(f'{"":12}{total:42}{memory.total / GIB:7.1f} GiB')
    return lines


def _describe_weights(config: Config, weights: str | None) -> list[str]:
    words = config.get('weights', {}).get('variants', {})
    if weights == RANDOM:
        return ['random numbers']
    checkpoint = checkpoint_of(config)
    own = weights is not None and weights not in words
    given = [checkpoint, weights if own else None]
    named = [path for path in given if path is not None]
    if named:
        return [
            f'{path}: {"there" if Path(path).exists() else "MISSING"}'
            for path in named
        ]
    encoder = config.model.get('text_encoder', {})
    stored = encoder.get('type') == 'StoredTextEncoder'
    lines = [
        _describe_file(part, file)
        for part, file in weight_entries(start_files(config, weights)).items()
        if not (stored and part in TEXT)
    ]
    if stored:
        lines.append(f'{PROMPTS}: {encoder.get("pretrained")}')
    return lines


def _describe_file(part: str, file: WeightFile) -> str:
    if file.made_by:
        return f'{part}: {file.file}: to be made by `{file.made_by}`'
    path = find_local(file, verify=False)
    source = f'{file.repo}/{file.file}' if file.repo else file.file
    found = 'to be downloaded' if path is None else str(path)
    return f'{part}: {source}: {found}'


def _describe_data(config: Config) -> str:
    dataset = config.train_dataloader.dataset
    names = ('data_root', 'annotation', 'cache_root')
    source = next((dataset[name] for name in names if name in dataset), '')
    try:
        length = len(DATASETS.build(dataset))
    except Exception as error:  # a data set may raise anything
        reason = config_error(error)
        if reason is None:
            raise
        return f'{dataset.type}, {source}: MISSING: {reason}'
    return f'{dataset.type}, {source}: {length:,} videos'


def _step_cost(config: Config, clip: ClipSize | None) -> StepCost | None:
    """Compute the cost of a step; None if it is not known."""
    if clip is None or config.model.type != 'STARModel':
        return None
    return step_cost(
        config,
        clip,
        config.train_dataloader.get('batch_size', 1),
        'BFloat16' in config.optim_wrapper.get('type', ''),
    )


def _estimate(
    config: Config, parts: list[Part], cost: StepCost | None, gpus: int
) -> TrainingMemory:
    """Estimate the memory of one GPU."""
    trained = sum(part.trained for part in parts)
    total = sum(part.total for part in parts)
    states = _STATES.get(config.optim_wrapper.optimizer.type, 2)
    hooks = [
        *(config.get('custom_hooks') or []),
        *(config.get('default_hooks') or {}).values(),
    ]
    states += sum('EMA' in hook.type for hook in hooks if hook)
    activations = None
    if cost is not None:
        activations = cost.memory - _FLOAT * trained
    sharded = is_sharded(config)
    return TrainingMemory(
        weights=_FLOAT * total,
        gradients=_FLOAT * trained,
        optimizer=_FLOAT * trained * states,
        activations=activations,
        shards=gpus if sharded else 1,
        gathered=_FLOAT * _at_work(parts) if sharded else 0,
    )


def _at_work(parts: list[Part]) -> int:
    """Count the parts that are not sharded, and the largest that is."""
    pieces = [p.total for p in parts if p.name in ('backbone', 'controlnet')]
    rest = sum(part.total for part in parts) - sum(pieces)
    return rest + max(pieces, default=0)
