"""Registries of scope `star`, children of mmengine's."""

from mmengine import registry as parent
from mmengine.registry import Registry

from star import compat

compat.allow_missing_torchvision_operators()


def _child(name: str, base: Registry, *locations: str) -> Registry:
    return Registry(name, parent=base, scope='star', locations=list(locations))


MODELS = _child('model', parent.MODELS, 'star.models')
DATASETS = _child('dataset', parent.DATASETS, 'star.datasets')
TRANSFORMS = _child(
    'transform', parent.TRANSFORMS, 'star.datasets.transforms'
)
METRICS = _child('metric', parent.METRICS)
HOOKS = _child('hook', parent.HOOKS, 'star.engine')
