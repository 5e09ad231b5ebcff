import os
import pickle
import stat
import sys

import numpy as np
import pytest
import torch
from mmengine.hooks import EMAHook
from mmengine.logging import HistoryBuffer
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from star.utils.tensor_files import (
    LazyTensor,
    held,
    open_safetensors,
    read_checkpoint,
    read_state,
    save_tensors,
    write_safetensors,
)
from tests.test_engine.toy import start, toy_config

TENSORS = {
    'b': torch.arange(6.0).view(2, 3),
    'a': torch.tensor(1.5),
    'c': torch.randn(3, 5).T,
    'none': torch.zeros(0, 4),
}


@pytest.mark.parametrize(
    'dtype', [torch.float32, torch.bfloat16, torch.float16]
)
def test_written_file_is_read_by_safetensors(tmp_path, dtype):
    path = tmp_path / 'a.safetensors'
    write_safetensors(path, {k: held(v) for k, v in TENSORS.items()}, dtype)
    found = load_file(path)
    assert found.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert found[name].dtype == dtype
        assert torch.equal(found[name], tensor.to(dtype))
    with safe_open(path, framework='pt') as file:
        assert file.metadata() == {'format': 'pt'}
    lazy = open_safetensors(path)
    assert lazy['c'].shape == (5, 3)
    assert torch.equal(lazy['c'].read(), TENSORS['c'].to(dtype))


def test_file_is_that_of_safetensors_itself(tmp_path):
    """The same bytes after the header, one tensor after another."""
    ours, theirs = tmp_path / 'a', tmp_path / 'b'
    tensors = {'a': torch.randn(3), 'b': torch.randn(2, 2)}
    write_safetensors(
        ours, {k: held(v) for k, v in tensors.items()}, torch.float32
    )
    save_file(tensors, theirs)
    assert ours.read_bytes()[-28:] == theirs.read_bytes()[-28:]
    assert int.from_bytes(ours.read_bytes()[:8], 'little') % 8 == 0


def test_nothing_is_left_of_a_file_that_fails(tmp_path):
    path = tmp_path / 'a.safetensors'
    path.write_bytes(b'old')

    def fail():
        assert len(os.listdir(tmp_path)) == 2
        raise OSError('disk full')

    tensors = {'a': held(torch.zeros(3)), 'b': LazyTensor((2,), fail)}
    with pytest.raises(OSError, match='disk full'):
        write_safetensors(path, tensors, torch.float32)
    assert os.listdir(tmp_path) == ['a.safetensors']
    assert path.read_bytes() == b'old'


def test_damaged_file_is_refused_in_one_line(tmp_path):
    path = tmp_path / 'a.safetensors'
    save_file({'a': torch.zeros(100)}, path)
    path.write_bytes(path.read_bytes()[:-8])
    for file in (path, tmp_path / 'absent.safetensors'):
        with pytest.raises(ValueError, match=file.name) as error:
            open_safetensors(file)
        assert len(str(error.value).splitlines()) == 1


def test_saved_tensors(tmp_path):
    path = tmp_path / 'a.safetensors'
    tensors = {'a': torch.randn(3), 'b': torch.tensor([1, 2])}
    path.write_bytes(b'old')
    with pytest.raises(ValueError, match='contiguous'):
        save_tensors({'c': TENSORS['c']}, path)
    assert path.read_bytes() == b'old'
    save_tensors(tensors, path)
    assert_equal(load_file(path), tensors)
    path.with_name('normal').touch()
    normal = path.with_name('normal').stat().st_mode
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(normal)


STATE = {'weight': torch.arange(6.0).view(2, 3), 'bias': torch.ones(2)}


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


def test_all_kinds_of_files_are_read(tmp_path):
    save_file(STATE, tmp_path / 'a.safetensors')
    torch.save(STATE, tmp_path / 'b.pth')
    torch.save(STATE, tmp_path / 'c', _use_new_zipfile_serialization=False)
    for name in ('a.safetensors', 'b.pth', 'c'):
        assert_equal(read_state(tmp_path / name), STATE)
        assert_equal(read_checkpoint(tmp_path / name, mmap=False), STATE)


@pytest.mark.parametrize(
    'content',
    [
        {'state_dict': STATE, 'epoch': 3},
        {'params_ema': STATE, 'params': {'old': torch.zeros(1)}},
        {'params_ema': {'state_dict': STATE}},
        {f'module.{k}': v for k, v in STATE.items()},
        {'state_dict': {f'module.{k}': v for k, v in STATE.items()}},
    ],
)
def test_state_dict_is_found_in_its_wrapping(tmp_path, content):
    torch.save(content, tmp_path / 'a.pth')
    found = read_state(tmp_path / 'a.pth', ('params_ema', 'params'))
    assert_equal(found, STATE)


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        ({}, 'no state dict'),
        ({'state_dict': {}}, 'no state dict'),
        ({'state_dict': 3}, 'no state dict'),
        ({**STATE, 'epoch': 3}, "entry 'epoch' is not a tensor but int"),
    ],
)
def test_anything_but_a_state_dict_is_refused(tmp_path, content, reason):
    path = tmp_path / 'a.pth'
    torch.save(content, path)
    with pytest.raises(ValueError, match=rf'a\.pth: .*{reason}'):
        read_state(path)


class Code:
    def __reduce__(self):
        return (sys.exit, (66,))


@pytest.mark.parametrize(
    ('name', 'content'),
    [
        ('code.pt', pickle.dumps(Code())),
        ('empty.pt', b''),
        ('text.pt', b'hello, this is no checkpoint'),
        ('cut.pt', b'PK\x03\x04' + bytes(100)),
        ('empty.safetensors', b''),
        ('text.safetensors', b'hello, this is no checkpoint'),
        ('list.pt', None),
        ('absent.pt', None),
        ('absent.safetensors', None),
    ],
    ids=lambda value: value if isinstance(value, str) else '',
)
def test_bad_files_are_refused_in_one_line(tmp_path, name, content):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    if name == 'list.pt':
        torch.save([torch.zeros(1)], path)
    for read in read_checkpoint, read_state:
        with pytest.raises(ValueError, match=name) as error:
            read(path)
        assert '\n' not in str(error.value)


def test_code_in_a_zip_checkpoint_is_not_run(tmp_path):
    path = tmp_path / 'code.pt'
    torch.save({'state_dict': Code()}, path)
    with pytest.raises(ValueError, match='code'):
        read_checkpoint(path)


@pytest.mark.parametrize('averaging', [False, True])
def test_files_of_mmengines_hooks(tmp_path, averaging):
    """With their log; its EMAHook exchanges the two sets of weights."""
    runner = start(
        toy_config(
            tmp_path,
            4,
            param_scheduler=[
                {'type': 'OneCycleLR', 'eta_max': 0.1, 'total_steps': 8}
            ],
            custom_hooks=[{'type': 'EMAHook', 'momentum': 0.4}] * averaging,
            default_hooks={
                'checkpoint': {
                    'type': 'CheckpointHook',
                    'by_epoch': False,
                    'interval': 1,
                    'max_keep_ckpts': 2,
                }
            },
        )
    )
    allowed = torch.serialization.get_safe_globals()
    path = tmp_path / 'iter_4.pth'
    found = read_checkpoint(path)
    assert found['meta']['iter'] == 4
    scalars = found['message_hub']['log_scalars']
    assert len(scalars['train/loss'].data[0]) == 4
    kept = found['message_hub']['runtime_info']['keep_ckpt_ids']
    assert kept == [3, 4]
    own = runner.model.state_dict()
    if not averaging:
        assert_equal(read_state(path), own)
        with pytest.raises(ValueError, match='has no averaged weights') as no:
            read_state(path, averaged=True)
        assert '\n' not in str(no.value)
        return
    hooks = [h for h in runner.hooks if isinstance(h, EMAHook)]
    averages = hooks[0].ema_model.module.state_dict()
    assert not averages['net.0.weight'].equal(own['net.0.weight'])
    assert_equal(read_state(path, averaged=True), averages)
    assert torch.serialization.get_safe_globals() == allowed


def test_averages_of_a_file_that_does_not_exchange_them(tmp_path):
    averages = {f'module.{k}': v + 1 for k, v in STATE.items()}
    averages['steps'] = torch.tensor(3)
    content = {'state_dict': STATE, 'ema_state_dict': averages}
    torch.save(content, tmp_path / 'a.pth')
    assert_equal(read_state(tmp_path / 'a.pth'), STATE)
    found = read_state(tmp_path / 'a.pth', averaged=True)
    assert_equal(found, {k: v + 1 for k, v in STATE.items()})


def test_files_of_numpy_1_are_read(tmp_path):
    """Other OpenMMLab projects describe their data sets with arrays."""
    meta = {'sigmas': np.arange(3, dtype=np.float32), 'best': np.float64(0.5)}
    content = {'state_dict': STATE, 'meta': meta}
    path = tmp_path / 'a.pth'
    torch.save(content, path, _use_new_zipfile_serialization=False)
    new = b'numpy._core.multiarray'
    assert new in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(new, b'numpy.core.multiarray'))
    found = read_checkpoint(path)['meta']
    assert found['sigmas'].tolist() == [0, 1, 2] and found['best'] == 0.5
    assert_equal(read_state(path), STATE)


class Reached:
    """Reaches for a function through one that mmengine's files may use."""

    def __init__(self, owner, name):
        self.found = owner, name

    def __reduce__(self):
        return getattr, self.found


@pytest.mark.parametrize(
    'code', [Reached(HistoryBuffer, '__init__'), Reached(getattr, '__self__')]
)
def test_no_other_attributes_are_read(tmp_path, code):
    torch.save({'state_dict': STATE, 'message_hub': code}, tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='code, which is never run'):
        read_state(tmp_path / 'a.pth')


def test_truncated_file_is_refused(tmp_path):
    state = {'a': torch.randn(2000)}
    for suffix, save in (('pt', torch.save), ('safetensors', save_file)):
        path = tmp_path / f'a.{suffix}'
        save(state, path)
        path.write_bytes(path.read_bytes()[:-1000])
        with pytest.raises(ValueError, match=suffix):
            read_checkpoint(path)


def test_a_text_is_called_no_file_of_tensors(tmp_path):
    path = tmp_path / 'weights.ckpt'
    path.write_text('hello\n')  # torch.load raises KeyError(101)
    with pytest.raises(ValueError, match='not a plain file of tensors'):
        read_state(path)
