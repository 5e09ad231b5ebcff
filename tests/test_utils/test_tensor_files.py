import os

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from star.utils.tensor_files import (
    LazyTensor,
    held,
    open_safetensors,
    write_safetensors,
)

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
