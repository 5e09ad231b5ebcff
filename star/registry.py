"""Registries of scope `star`, children of mmengine's."""

from mmengine import registry as parent
from mmengine.registry import Registry

from star.utils import compat

compat.allow_missing_torchvision_operators()
compat.allow_star_configs()

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


MODELS = _child('model', parent.MODELS, 'star.models')
DATASETS = _child('dataset', parent.DATASETS, 'star.datasets')
TRANSFORMS = _child('transform', parent.TRANSFORMS, 'star.datasets.transforms')
METRICS = _child('metric', parent.METRICS, 'star.evaluation')
HOOKS = _child('hook', parent.HOOKS, 'star.engine')

# nothing is registered in these; a location keeps mmengine from looking for
# `star.utils.register_all_modules`
STOCK = {
    name: _child(
        getattr(parent, name).name, getattr(parent, name), 'star.registry'
    )
    for name in _STOCK
}
