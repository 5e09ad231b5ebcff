"""Registries of scope `star`, children of mmengine's."""

import inspect
from typing import Any

from mmengine import registry as parent
from mmengine.registry import Registry, build_model_from_cfg
from torch import nn

from star.utils import compat
from star.utils.origins import allow_random
from star.utils.postponed import postpone_training_parts

compat.allow_missing_torchvision_operators()
compat.allow_star_configs()
postpone_training_parts()

# Registries whose stock classes are used as they are. Each needs a child of
# scope `star`, or mmengine warns that the scope is missing.
_STOCK = (
    'DATA_SAMPLERS',
    'EVALUATOR',
    'FUNCTIONS',
    'LOG_PROCESSORS',
    'LOOPS',
    'MODEL_WRAPPERS',
    'OPTIMIZERS',
    'OPTIM_WRAPPERS',
    'OPTIM_WRAPPER_CONSTRUCTORS',
    'PARAM_SCHEDULERS',
    'RUNNERS',
    'VISBACKENDS',
    'VISUALIZERS',
    'WEIGHT_INITIALIZERS',
)


def _child(name: str, base: Registry, *locations: str) -> Registry:
    return Registry(name, parent=base, scope='star', locations=list(locations))


def _build_part(
    config: Any, registry: Registry, *args: Any, **defaults: Any
) -> Any:
    """Build a part of a model; `init='random'` allows its random numbers.

    Every part takes `init`, so its class need not: without it no frozen part
    is trained or tested with random numbers. A part that is built already is
    taken as it is.

    Raises:
        ValueError: `init` is something else.
    """
    if isinstance(config, nn.Module):
        return config
    init = config.get('init') if isinstance(config, dict) else None
    if init is None or _takes_init(registry.get(config.get('type', ''))):
        return build_model_from_cfg(config, registry, *args, **defaults)
    if init != 'random':
        raise ValueError(f"`init` must be 'random' or absent, got {init!r}")
    rest = {key: value for key, value in config.items() if key != 'init'}
    part = build_model_from_cfg(rest, registry, *args, **defaults)
    allow_random(part)
    return part


def _takes_init(kind: type | None) -> bool:
    return kind is not None and 'init' in inspect.signature(kind).parameters


MODELS = Registry(
    'model',
    build_func=_build_part,
    parent=parent.MODELS,
    scope='star',
    locations=['star.models'],
)
DATASETS = _child('dataset', parent.DATASETS, 'star.datasets')
TRANSFORMS = _child('transform', parent.TRANSFORMS, 'star.datasets.transforms')
METRICS = _child('metric', parent.METRICS, 'star.evaluation')
HOOKS = _child('hook', parent.HOOKS, 'star.engine')

# mmengine's own classes are registered once its Runner is imported, which
# `star.engine` does, and with them the few of ours; initialisation needs none
STOCK = {
    name: _child(
        getattr(parent, name).name,
        getattr(parent, name),
        'star.registry' if name == 'WEIGHT_INITIALIZERS' else 'star.engine',
    )
    for name in _STOCK
}
