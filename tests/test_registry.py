import subprocess
import sys

import pytest
from mmengine import registry as parent
from mmengine.hooks import CheckpointHook

from star import registry

NAMES = ['MODELS', 'DATASETS', 'TRANSFORMS', 'METRICS', 'HOOKS']


@pytest.mark.parametrize('name', NAMES)
def test_is_a_child_of_mmengine(name: str):
    child = getattr(registry, name)
    assert child.scope == 'star'
    assert child.parent is getattr(parent, name)
    assert getattr(parent, name).children['star'] is child


def test_finds_what_mmengine_registers():
    assert registry.HOOKS.get('CheckpointHook') is CheckpointHook


def test_importing_the_registry_is_enough_to_build_models():
    """Classes are found by name before anything imports `star.models`."""
    code = (
        'from mmengine.registry import MODELS as root\n'
        'from star.registry import MODELS\n'
        'names = ["I2VGenUNet", "UNetControlNet", "TemporalVAE", "LIEM",\n'
        '         "OpenCLIPTextEncoder", "ConstantTextEncoder",\n'
        '         "I2VGenSchedule", "STARModel"]\n'
        'print([name for name in names if MODELS.get(name) is None])\n'
        'print(root.get("star.STARModel") is MODELS.get("STARModel"))\n'
    )
    command = [sys.executable, '-c', code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split('\n')[:2] == ['[]', 'True']


def test_a_misspelt_option_fails_at_construction():
    model = dict(type='ConstantTextEncoder', dim=8, num_token=1)
    with pytest.raises(TypeError, match='num_token'):
        registry.MODELS.build(model)


def test_an_unknown_name_fails():
    with pytest.raises(KeyError, match='NoSuchModel'):
        registry.MODELS.build(dict(type='NoSuchModel'))
