"""Sizes of the clips that a config trains and validates on, checked."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from star.apis.inference.build import build_model, on_meta
from star.apis.train.clip_rule import ClipRule, NumberRule, clip_rule
from star.apis.train.signatures import default_of, find_class

Size = tuple[int, int]


@dataclass(frozen=True)
class ClipSource:
    """Sizes of a data set's clips, as far as a config states them.

    Args:
        path: dotted key of the data set.
        num_frames: of a clip; None if the config does not state it.
        sizes: height and width of the ground truth, by the dotted key that
            states them; empty if the files decide.
        scales: factors between ground truth and low quality, by dotted key.
    """

    path: str
    num_frames: int | None
    sizes: list[tuple[str, Size]]
    scales: dict[str, int]


def check_clips(config: Config) -> None:
    """Refuse clips of a size that the model or the degradation cannot take.

    The model is built without memory; its parts state the rule.

    Args:
        config: with `model` and `train_dataloader`.

    Raises:
        ValueError: naming the setting, the rule, the nearest sizes that fit
            and the value; or the model cannot be built.
    """
    loader = config.train_dataloader
    sources = list(find_sources(loader.dataset, 'train_dataloader.dataset'))
    rule = _find_rule(config)
    for source in sources:
        _check_source(source, rule)
    if loader.get('batch_size', 1) > 1:
        _check_batch(sources)
    if rule is not None:
        _check_window(rule, [s.num_frames for s in sources if s.num_frames])
    for path, dataset in _validation_sets(config):
        for source in find_sources(dataset, path):
            _check_source(source, None)


def find_sources(dataset: Any, path: str) -> Iterator[ClipSource]:
    """List the data sets that a config's data set reads from.

    Args:
        dataset: config of a data set, maybe of one around others, or of a
            cache, which knows the data set that it was made of.
        path: dotted key of `dataset`.
    """
    if not isinstance(dataset, Mapping):
        return
    inner = dataset.get('datasets', dataset.get('dataset'))
    if isinstance(inner, Sequence) and not isinstance(inner, str):
        for index, each in enumerate(inner):
            yield from find_sources(each, f'{path}.datasets.{index}')
    elif inner is not None:
        yield from find_sources(inner, f'{path}.dataset')
    elif 'cache_root' in dataset:
        yield from find_sources(*_cached(dataset['cache_root']))
    else:
        yield _read_source(dataset, path)


def _find_rule(config: Config) -> ClipRule | None:
    try:
        with on_meta():
            return clip_rule(build_model(config))
    except RuntimeError:
        # A constructor that reads numbers cannot do without memory. Then the
        # network itself refuses a wrong size, when it sees the first clip.
        return None


def _cached(root: str) -> tuple[Any, str]:
    """Return the data set that a cache was made of, and a name for it."""
    path = Path(root) / 'index.json'
    try:
        index = json.loads(path.read_text('utf-8'))
        return index['configs']['dataset'], f'{root}: dataset'
    except (KeyError, OSError, TypeError, ValueError):
        return None, ''  # the data set itself says what is wrong with it


def _read_source(dataset: Mapping[str, Any], path: str) -> ClipSource:
    pipeline = dataset.get('pipeline') or ()
    steps = [
        list(_transforms(step, f'{path}.pipeline.{i}'))
        for i, step in enumerate(pipeline)
    ]
    sizes: list[tuple[str, Size]] = []
    if _states_size(dataset):
        sizes = [(path, (dataset['height'], dataset['width']))]
    scales: dict[str, int] = {}
    for step in steps:
        crops = [(name, t) for name, t in step if _states_size(t)]
        if crops:
            sizes = [(name, (t['height'], t['width'])) for name, t in crops]
        elif any(_option(t, 'transpose') for _, t in step):
            sizes += [(name, size[::-1]) for name, size in sizes]
        scales |= {name: _scale(t) for name, t in step if _scale(t)}
    if not scales and _scale(dataset):
        scales = {path: _scale(dataset)}
    return ClipSource(path, dataset.get('num_frames'), sizes, scales)


def _transforms(step: Any, path: str) -> Iterator[tuple[str, Mapping]]:
    """List a transform, or those that it chooses from, by dotted key."""
    if isinstance(step, Mapping):
        yield path, step
        step = step.get('transforms', ())
        path = f'{path}.transforms'
    if isinstance(step, list | tuple):
        for index, each in enumerate(step):
            yield from _transforms(each, f'{path}.{index}')


def _states_size(settings: Mapping[str, Any]) -> bool:
    sides = (settings.get('height'), settings.get('width'))
    return all(isinstance(side, int) for side in sides)


def _option(settings: Mapping[str, Any], name: str) -> Any:
    """Return an argument of what a config builds, stated or default."""
    default = default_of(find_class(settings.get('type')), name)
    return settings.get(name, default)


def _scale(settings: Mapping[str, Any]) -> int:
    """Return the factor between ground truth and low quality; 0 for none."""
    found = _option(settings, 'scale')
    whole = isinstance(found, int) and not isinstance(found, bool)
    return found if whole else 0


def _check_source(source: ClipSource, rule: ClipRule | None) -> None:
    """Check a data set; without a rule only against its own scales."""
    problems = []
    for name, size in source.sizes:
        problems += _size_problems(name, size, source, rule)
    if rule is not None:
        frames = source.num_frames
        if frames is not None and not rule.num_frames.fits(frames):
            problems.append(
                f'{source.path}: num_frames must be '
                f'{rule.num_frames.describe(frames)} (for {rule.why})'
            )
        problems += [
            f'{name}: scale must be {rule.scale}, by which the low-quality '
            f'clips are enlarged (data_preprocessor.scale), got {scale}'
            for name, scale in source.scales.items()
            if scale != rule.scale
        ]
    if problems:
        raise ValueError('; '.join(problems))


def _size_problems(
    path: str, size: Size, source: ClipSource, rule: ClipRule | None
) -> list[str]:
    """Describe the sides that do not fit."""
    problems = []
    sides = (NumberRule(), NumberRule()) if rule is None else rule.sides
    for name, side, wanted in zip(
        ('height', 'width'), size, sides, strict=True
    ):
        found: NumberRule | None = wanted
        for scale in source.scales.values():
            found = found and found.both(NumberRule(scale))
        why = [] if rule is None else [rule.why]
        if found != wanted:
            scales = sorted(set(source.scales.values()))
            why += [f'a scale of {scale}' for scale in scales]
        parts = ' with '.join(why)
        if found is None:
            problems.append(f'{path}: no {name} fits {parts}')
        elif not found.fits(side):
            problems.append(
                f'{path}: {name} must be {found.describe(side)} (for {parts})'
            )
    return problems


def _check_batch(sources: list[ClipSource]) -> None:
    """Refuse clips of several sizes in one batch."""
    shapes = {
        (source.num_frames, *size): name
        for source in sources
        for name, size in source.sizes
    }
    if len(shapes) > 1:
        found = ', '.join(
            f'{" x ".join(map(str, shape))} ({name})'
            for shape, name in shapes.items()
        )
        raise ValueError(
            'clips of a batch must have one number of frames, height and '
            f'width, got {found}: set train_dataloader.batch_size=1, or one '
            'size for all'
        )


def _check_window(rule: ClipRule, frames: list[int]) -> None:
    """Refuse a window of the losses that cannot be decoded."""
    window, ratio = rule.window, rule.num_frames.multiple
    if window is None:
        return
    for side in window.crop_size or ():
        cell = NumberRule(rule.pixels)
        if not cell.fits(side):
            raise ValueError(
                'model.losses.window: crop_size must have sides that are '
                f'{cell.describe(side)} (for {rule.why})'
            )
    wanted, rule_of_frames = window.num_frames, NumberRule(ratio)
    cut = wanted is not None and wanted < max(frames, default=0)
    if cut and not rule_of_frames.fits(wanted):
        raise ValueError(
            'model.losses.window: num_frames must be '
            f'{rule_of_frames.describe(wanted)} (for {rule.why})'
        )


def _validation_sets(config: Config) -> Iterator[tuple[str, Any]]:
    loader = config.get('val_dataloader')
    if loader:
        yield 'val_dataloader.dataset', loader.get('dataset')
    for name, hook in (config.get('default_hooks') or {}).items():
        if isinstance(hook, Mapping) and 'dataset' in hook:
            yield f'default_hooks.{name}.dataset', hook['dataset']
    for index, hook in enumerate(config.get('custom_hooks') or ()):
        if isinstance(hook, Mapping) and 'dataset' in hook:
            yield f'custom_hooks.{index}.dataset', hook['dataset']
