"""`star convert baseline` on small files of the official form."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from star.apis.inference.build import build_model, load_config, take_random
from star.apis.inference.load import init_model
from star.cli.main import main
from star.utils.paths import config_root
from tests.test_models.test_editors.test_resshift.test_resshift import (
    official_files,
)

UNET, VQ = 'resshift_realsrx4_s4_v3.pth', 'autoencoder_vq_f4.pth'


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Write a config of small networks with the published files' names."""
    base = config_root() / 'resshift' / 'tiny_resshift.py'
    path = tmp_path / 'small_resshift.py'
    changes = f'weights={UNET!r}, autoencoder_weights={VQ!r}'
    path.write_text(f'_base_ = {str(base)!r}\nmodel = dict({changes})\n')
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / 'weights'
    folder.mkdir()
    model = build_model(load_config('tiny_resshift')).eval()
    take_random(model)
    for path, name in zip(
        official_files(model, folder), (UNET, VQ), strict=True
    ):
        path.rename(folder / name)
    return folder


def convert(*words: object) -> int:
    return main(['convert', 'baseline', *map(str, words)])


def test_one_file_restores_as_all(config: Path, folder: Path, tmp_path: Path):
    target = tmp_path / 'one.safetensors'
    # a folder, or the first file with the others beside it
    assert convert(folder, target, '--config', config) == 0
    first = convert(folder / UNET, target, '--config', config, '--overwrite')
    assert first == 0
    lq = torch.randint(0, 256, (1, 3, 8, 9), dtype=torch.uint8)
    results = [
        init_model(config, source, 'cpu').restore(lq)
        for source in (folder, target)
    ]
    assert results[0].float().std() > 10
    assert torch.equal(*results)


def test_the_second_file_lies_beside_the_first(config: Path, folder: Path):
    lq = torch.randint(0, 256, (1, 3, 8, 9), dtype=torch.uint8)
    one, two = (
        init_model(config, source, 'cpu').restore(lq)
        for source in (folder, folder / UNET)
    )
    assert torch.equal(one, two)


def test_files_that_nothing_names(folder: Path):
    with pytest.raises(ValueError, match=r'needs 2 files, .* names 0'):
        init_model('tiny_resshift', folder / UNET, 'cpu')
    with pytest.raises(ValueError, match='has no weights: name a file'):
        init_model('tiny_resshift', None, 'cpu')


def test_number_formats(config: Path, folder: Path, tmp_path: Path, capsys):
    target = tmp_path / 'half.safetensors'
    words = folder, target, '--config', config, '--dtype', 'bf16'
    assert convert(*words) == 0
    state = load_file(target)
    assert {tensor.dtype for tensor in state.values()} == {torch.bfloat16}
    assert f'{len(state)} tensors' in capsys.readouterr().out
    init_model(config, target, 'cpu')


def test_wrong_use_is_one_line(
    config: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    target = tmp_path / 'one.safetensors'
    for words, message in (
        ((folder, target, '--config', 'realviformer'), 'no diffusion baselin'),
        ((folder, target, '--config', 'i2vgen'), 'no diffusion baseline'),
        ((tmp_path / 'no', target, '--config', config), 'no such file'),
        ((folder, tmp_path / 'a.pth', '--config', config), '.safetensors'),
        ((folder / VQ, target, '--config', config), f'{VQ} does not fit'),
    ):
        assert convert(*words) == 2
        err = capsys.readouterr().err
        assert message in err and err.count('\n') == 1
    (folder / VQ).unlink()
    assert convert(folder, target, '--config', config) == 2
    assert VQ in capsys.readouterr().err
    assert not target.exists()
    target.write_bytes(b'')
    assert convert(folder, target, '--config', config) == 2
    assert 'exists (use --overwrite)' in capsys.readouterr().err
