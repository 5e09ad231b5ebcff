"""projects/small_models/tools/convert_realesrgan.py on a small network."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from projects.small_models.tools import convert_realesrgan as tool
from star.models.editors.real_esrgan.srvgg import SRVGGNetCompact
from tests.test_models.test_backbones.test_compact.test_denoiser import STAR

VAE = {
    'type': 'TemporalVAE',
    'block_out_channels': (32,),
    'layers_per_block': 1,
    'norm_groups': 8,
}


def small_config(folder: Path, **changes: object) -> str:
    backbone = {**STAR['backbone'], 'dim': 64, 'num_conv': 2}
    model = {**STAR, 'backbone': backbone, **changes}
    path = folder / 'small.py'
    path.write_text(f'model = {model!r}\n')
    return str(path)


def image_file(folder: Path, num_conv: int = 2) -> Path:
    torch.manual_seed(0)
    path = folder / 'image.pth'
    state = SRVGGNetCompact(num_conv, scale=2).state_dict()
    torch.save({'params': state}, path)
    return path


def test_writes_a_whole_model(tmp_path: Path):
    src, dst = image_file(tmp_path), tmp_path / 'start.safetensors'
    config = small_config(tmp_path)
    assert tool.main([str(src), str(dst), '--config', config]) == 0
    state = load_file(dst)
    model = tool.MODELS.build(tool.load_config(config).model)
    model.load_state_dict(state)
    given = torch.load(src)['params']
    for name in ('body.0.weight', 'body.4.bias'):
        assert torch.equal(state[f'backbone.{name}'], given[name])
    assert state['backbone.pixels.weight'].abs().sum() > 0.5


@pytest.mark.parametrize(
    ('num_conv', 'changes', 'message'),
    [
        (3, {}, 'does not fit RealESRGANCompact'),
        (
            2,
            {'autoencoder': VAE, 'residual_std': None},
            'needs a CompactDenoiser and a PatchDCT',
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, capsys, num_conv, changes, message
):
    src, dst = image_file(tmp_path, num_conv), tmp_path / 'start.safetensors'
    config = small_config(tmp_path, **changes)
    assert tool.main([str(src), str(dst), '--config', config]) == 2
    error = capsys.readouterr().err
    assert error.startswith('error: ') and message in error
    assert error.count('\n') == 1
    assert not dst.exists()


def test_existing_files_stay(tmp_path: Path, capsys):
    src, dst = image_file(tmp_path), tmp_path / 'start.safetensors'
    dst.write_text('mine')
    config = small_config(tmp_path)
    assert tool.main([str(src), str(dst), '--config', config]) == 2
    assert 'exists (use --overwrite)' in capsys.readouterr().err
    assert dst.read_text() == 'mine'
