"""Tensors in files that nobody keeps."""

import pytest
import torch

from star.utils.scratch import ScratchFile, scratch_folder, scratch_in


@pytest.mark.parametrize(
    'dtype', [torch.uint8, torch.uint16, torch.bfloat16, torch.float32]
)
def test_tensors_come_back(dtype, tmp_path):
    file = ScratchFile(tmp_path)
    x = torch.arange(24).view(4, 6).to(dtype)
    first, second = file.reserve(x.nbytes), file.reserve(x.nbytes)
    assert (first, second) == (0, x.nbytes)
    file.write(second, x.T)  # in the order that it is read in
    file.write(first, x)
    out = torch.empty(6, 4, dtype=dtype)
    file.read(second, out)
    assert torch.equal(out, x.T)
    file.read(first, out)
    assert torch.equal(out.view(4, 6), x)
    assert not list(tmp_path.iterdir())  # it has no name


def test_what_is_not_there():
    file = ScratchFile()
    file.write(0, torch.zeros(4))
    with pytest.raises(EOFError, match='ends too early'):
        file.read(8, torch.empty(4))
    file.clear()
    assert file.reserve(1) == 0
    with pytest.raises(EOFError):
        file.read(0, torch.empty(1))


def test_the_folder(tmp_path):
    before = scratch_folder()
    with scratch_in(tmp_path):
        assert scratch_folder() == str(tmp_path)
        with pytest.raises(FileNotFoundError), scratch_in(tmp_path / 'no'):
            ScratchFile()
    assert scratch_folder() == before
