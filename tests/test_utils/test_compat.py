import importlib.util
import io
import json
import subprocess
import sys
import types

import mmengine.utils
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub

from star.utils import compat

has_full_mmcv = importlib.util.find_spec('mmcv._ext') is not None
has_mmagic = importlib.util.find_spec('mmagic') is not None


class Stranger:
    """Something that has no place in a checkpoint."""


@pytest.fixture
def own_allow_list():
    """Start from an empty allow-list and put the old one back."""
    before = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    yield
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(before)


def python(code: str) -> str:
    """Run code in an interpreter of its own; its output."""
    command = [sys.executable, '-c', code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope='module')
def imported() -> dict:
    """What packages that need aid give in an interpreter of its own."""
    output = python(
        'import json\n'
        'import star.registry, torchvision\n'
        'found = {"torchvision": torchvision.__name__}\n'
        'from star.utils import compat\n'
        'compat._restore_diffusers_modules()\n'
        'compat._restore_diffusers_modules()\n'
        'import diffusers.pipelines.paint_by_example as old\n'
        'from diffusers.models.unet_2d_condition import UNet2DConditionModel\n'
        'from diffusers import UNet2DConditionModel as new\n'
        'found["unet"] = UNet2DConditionModel is new\n'
        'found["encoder"] = hasattr(old, "PaintByExampleImageEncoder")\n'
        'import torch\n'
        'compat._allow_missing_mmcv_operators()\n'
        'from mmcv.ops import nms\n'
        'try:\n'
        '    nms(torch.rand(2, 4), torch.rand(2), 0.5)\n'
        'except RuntimeError as error:\n'
        '    found["nms"] = str(error)\n'
        'print(json.dumps(found))\n'
    )
    return json.loads(output.splitlines()[-1])


def saved(content: dict) -> io.BytesIO:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    buffer.seek(0)
    return buffer


def test_require_gives_the_module():
    assert compat.require('json.decoder', 'metrics').__name__ == 'json.decoder'


def test_require_names_the_extra_in_one_line():
    with pytest.raises(ImportError) as caught:
        compat.require('no_such_package.part', 'metrics')
    message = str(caught.value)
    assert '`no_such_package` is not installed' in message
    assert 'pip install "star-vsr[metrics]"' in message
    assert '\n' not in message


def test_require_does_not_hide_what_an_installed_module_misses(
    tmp_path, monkeypatch
):
    (tmp_path / 'star_broken.py').write_text('import no_such_package')
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError) as caught:
        compat.require('star_broken', 'metrics')
    assert caught.value.name == 'no_such_package'


def test_torchvision_imports_after_the_registry(imported: dict):
    assert imported['torchvision'] == 'torchvision'


def test_torchvision_aid_is_applied_once():
    compat.allow_missing_torchvision_operators()
    count = len(compat._libraries)
    compat.allow_missing_torchvision_operators()
    assert len(compat._libraries) == count <= 1


def test_torchvision_aid_does_nothing_without_torchvision(monkeypatch):
    monkeypatch.setattr(compat, '_libraries', [])
    monkeypatch.setattr(compat, '_is_missing', lambda module: True)
    compat.allow_missing_torchvision_operators()
    assert compat._libraries == []


def test_mmengine_state_loads_with_weights_only(own_allow_list):
    hub = MessageHub('test_compat')
    for step in range(3):
        hub.update_scalar('train/loss', torch.tensor(0.5 + step))
        hub.update_scalar('train/lr', 1e-4, count=2)
    hub.update_info('iter', 3)
    checkpoint = {'message_hub': hub.state_dict()}
    with pytest.raises(Exception, match='Weights only load failed'):
        torch.load(saved(checkpoint), weights_only=True)

    with compat.allow_mmengine_types():
        state = torch.load(saved(checkpoint), weights_only=True)['message_hub']
    assert torch.serialization.get_safe_globals() == []

    values, counts = state['log_scalars']['train/loss'].data
    np.testing.assert_array_equal(values, [0.5, 1.5, 2.5])
    assert state['log_scalars']['train/lr'].mean() == pytest.approx(5e-5)
    np.testing.assert_array_equal(counts, [1, 1, 1])
    assert state['runtime_info']['iter'] == 3


def test_allow_list_still_refuses_strangers(own_allow_list):
    with (
        compat.allow_mmengine_types(),
        pytest.raises(Exception, match='Stranger'),
    ):
        torch.load(saved({'x': Stranger()}), weights_only=True)


def test_what_was_allowed_before_stays(own_allow_list):
    torch.serialization.add_safe_globals([np.ndarray, Stranger])
    with compat.allow_mmengine_types():
        assert len(torch.serialization.get_safe_globals()) > 20
    left = torch.serialization.get_safe_globals()
    assert set(left) == {np.ndarray, Stranger}


def test_a_file_of_lightning_loads_without_it(own_allow_list, monkeypatch):
    """Its callbacks' states have classes as their keys."""
    module = 'pytorch_lightning.callbacks.model_checkpoint'
    kind = type('ModelCheckpoint', (), {'__module__': module})
    with monkeypatch.context() as patch:
        parts = module.split('.')
        for i in range(len(parts)):
            name = '.'.join(parts[: i + 1])
            patch.setitem(sys.modules, name, types.ModuleType(name))
        sys.modules[module].ModelCheckpoint = kind
        states = {kind: {'best_model_path': 'last.ckpt'}}
        file = saved({'callbacks': states, 'state_dict': {'w': torch.ones(2)}})
        strange = saved({'callbacks': {kind: Stranger()}})
    with pytest.raises(Exception, match='ModelCheckpoint'):
        torch.load(file, weights_only=True)
    file.seek(0)
    with compat.allow_lightning_types():
        loaded = torch.load(file, weights_only=True)
        assert torch.equal(loaded['state_dict']['w'], torch.ones(2))
        with pytest.raises(Exception, match='Stranger'):
            torch.load(strange, weights_only=True)
    assert torch.serialization.get_safe_globals() == []


def test_numpy_bool8_is_there_again(monkeypatch):
    monkeypatch.delattr(np, 'bool8', raising=False)
    compat._restore_numpy_bool8()
    assert np.bool8 is np.bool_
    monkeypatch.delattr(np, 'bool8', raising=False)


@pytest.mark.skipif(has_full_mmcv, reason='mmcv has its operators here')
def test_mmcv_operators_import_and_raise_when_called(imported: dict):
    assert '`nms` is a compiled operator of mmcv' in imported['nms']


def test_old_diffusers_modules_are_found_again(imported: dict):
    assert imported['unet'] and imported['encoder']


@pytest.mark.skipif(has_mmagic, reason='mmagic is installed')
def test_missing_mmagic_is_named_with_its_extra():
    with pytest.raises(ImportError, match=r'`mmagic`.*star-vsr\[baselines\]'):
        compat.import_mmagic()


@pytest.mark.skipif(not has_mmagic, reason='no mmagic (extra "baselines")')
def test_mmagic_imports_and_runs():
    output = python(
        'import torch\n'
        'from star.utils import compat\n'
        'net = compat.import_mmagic().RealBasicVSRNet(8, 1, 1).eval()\n'
        'with torch.no_grad():\n'
        '    print(tuple(net(torch.rand(1, 2, 3, 64, 64)).shape))\n'
    )
    assert output.endswith('(1, 2, 3, 256, 256)')


@pytest.fixture
def own_lookup(monkeypatch):
    """Let mmengine's table of packages and its lookup be changed."""
    from mmengine.config import config, utils

    table = {k: v for k, v in utils.MODULE2PACKAGE.items() if k != 'star'}
    monkeypatch.setattr(utils, 'MODULE2PACKAGE', table)
    for name in ('is_installed', 'get_installed_path'):
        monkeypatch.setattr(config, name, getattr(mmengine.utils, name))
    return config


def test_base_configs_are_found_without_pkg_resources(own_lookup, tmp_path):
    compat.allow_star_configs()
    path = tmp_path / 'mine.py'
    path.write_text("_base_ = 'star::star/tiny.py'\n")
    config = Config.fromfile(path, import_custom_modules=False)
    assert config.model.type == 'STARModel'
    path.write_text("_base_ = 'mmseg::a/b.py'\n")
    with pytest.raises(ModuleNotFoundError, match='mmsegmentation'):
        Config.fromfile(path, import_custom_modules=False)


def test_lookup_stays_where_pkg_resources_is_there(own_lookup, monkeypatch):
    monkeypatch.setitem(sys.modules, 'pkg_resources', object())
    compat.allow_star_configs()
    assert own_lookup.is_installed is mmengine.utils.is_installed


def test_pyiqa_gets_its_tokenizer_without_pkg_resources(tmp_path, monkeypatch):
    """The stand-in holds `packaging`, and only for that import."""
    (tmp_path / 'pyiqa.py').write_text('')
    (tmp_path / 'clip.py').write_text(
        'from pkg_resources import packaging\n'
        "newer = packaging.version.parse('2.10') > packaging.version.parse("
        "'2.9')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    modules = {k: v for k, v in sys.modules.items() if k != 'pkg_resources'}
    for name in ('pyiqa', 'clip'):
        modules.pop(name, None)
    monkeypatch.setattr(sys, 'modules', modules)
    found = compat.import_pyiqa()
    assert found.__file__ == str(tmp_path / 'pyiqa.py')
    assert modules['clip'].newer
    assert 'pkg_resources' not in modules


def test_missing_pyiqa_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, 'pyiqa', None)
    with pytest.raises(ImportError, match=r'star-vsr\[pyiqa\]'):
        compat.import_pyiqa()
