"""A restoration starts without the imports that only trainings need."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.paths import ROOT

HEAVY = (
    'bitsandbytes',
    'matplotlib',
    'mmcv',
    'mmengine.runner',
    'scipy',
    'star.engine',
    'star.evaluation',
    'sympy',
    'torch._dynamo',
    'torch.distributed.fsdp',
    'transformers',
)
START = f"""
import sys
from star.apis import init_model
import star.cli.restore
init_model(device='cpu')
found = [name for name in {HEAVY} if name in sys.modules]
"""
# each way makes mmengine complete again
WAYS = {
    'runner': 'import mmengine.runner',
    'optimizer': 'assert OPTIMIZERS.get("ZeroRedundancyOptimizer")',
    'of star': 'from star.registry import STOCK\n'
    'assert STOCK["MODEL_WRAPPERS"].get("MMFullyShardedDataParallel")',
    'class': 'from mmengine.model import MMFullyShardedDataParallel',
    'all': 'from mmengine.optim import *; from mmengine.model import *',
}
REPORT = """
import json
import mmengine.model, mmengine.optim, mmengine.runner
from mmengine.optim.optimizer import builder
name = lambda kind: f'{kind.__module__}.{kind.__qualname__}'
print(json.dumps({
    'optimizers': {k: name(v) for k, v in OPTIMIZERS.module_dict.items()},
    'wrappers': {k: name(v) for k, v in MODEL_WRAPPERS.module_dict.items()},
    'lists': {k: v for k, v in vars(builder).items()
              if k.endswith('_OPTIMIZERS')},
    'exported': [name(mmengine.model.MMFullyShardedDataParallel),
                 name(mmengine.model.wrappers.MMFullyShardedDataParallel),
                 name(mmengine.optim.ZeroRedundancyOptimizer)],
    'zero': name(mmengine.optim.ZeroRedundancyOptimizer.__base__),
}))
"""
REGISTRIES = 'from mmengine.registry import MODEL_WRAPPERS, OPTIMIZERS\n'


def run_code(code: str) -> list[Any]:
    """Run code in an interpreter of its own; the lines that it prints."""
    done = subprocess.run(
        [sys.executable, '-c', code],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope='module')
def without_star() -> Any:
    """What mmengine registers and exports by itself."""
    # transformers registers an optimiser where torchvision can be imported
    code = 'from star.utils import compat\n'
    code += 'compat.allow_missing_torchvision_operators()\n'
    (report,) = run_code(code + REGISTRIES + REPORT)
    return report


def test_a_restoration_imports_little(without_star: Any):
    """What it leaves out of mmengine is there when it is asked for."""
    code = f'{START}{REGISTRIES}{WAYS["runner"]}\n{REPORT}'
    report, found = run_code(code + 'print(json.dumps(found))')
    assert (report, found) == (without_star, [])
    assert 'torch.distributed.optim' in without_star['zero']


@pytest.mark.slow
@pytest.mark.parametrize('way', WAYS)
def test_mmengine_is_complete_again(way: str, without_star: Any):
    code = f'import star.registry\n{REGISTRIES}{WAYS[way]}\n{REPORT}'
    assert run_code(code) == [without_star]


@pytest.mark.slow
def test_others_who_came_first_see_no_change():
    code = (
        'import sys, mmengine.optim\n'
        'import star.registry, json\n'
        'from star.utils.postponed import _postponed\n'
        'print(json.dumps([_postponed, "mmengine.runner" in sys.modules,\n'
        '    mmengine.optim.ZeroRedundancyOptimizer.__name__]))\n'
    )
    assert run_code(code) == [[[], False, 'ZeroRedundancyOptimizer']]
