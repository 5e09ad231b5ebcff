import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from safetensors.torch import save_file
from torch import nn

from star.apis import init_model
from star.apis.inference.build import (
    build_part,
    fill_random,
    find_config,
    load_config,
)
from star.apis.inference.devices import (
    dtype_of,
    find_device,
    find_dtype,
    find_model_dtype,
)
from star.models.backbones.i2vgen.checkpoints import network_state, to_official

SMALL = """
sizes = dict(
    dim=32, dim_mult=(1, 2), num_res_blocks=1, head_dim=16, num_heads=2,
    context_dim=16)
vae = dict(
    type='TemporalVAE', block_out_channels=(32, 32), layers_per_block=1)
model = dict(
    type='STARModel',
    autoencoder=vae,
    text_encoder=dict(type='ConstantTextEncoder', dim=16),
    backbone=dict(type='I2VGenUNet', sizes=sizes),
    controlnet=dict(type='UNetControlNet', sizes=sizes),
    schedule=dict(type='I2VGenSchedule'),
    restore_options=dict(mode='normal', steps=1, guidance_scale=1),
)
"""
WEIGHTS = """
weights = dict(
    star=dict(file='star.pt', repo='org/star'),
    vae=dict(file='vae.safetensors', repo='org/vae'))
"""


def write_config(folder: Path, text: str = SMALL) -> Path:
    path = folder / 'small.py'
    path.write_text(text)
    return path


@pytest.fixture
def model(tmp_path: Path) -> nn.Module:
    return init_model(write_config(tmp_path), 'random', 'cpu')


def parameters_equal(a: nn.Module, b: nn.Module) -> bool:
    states = a.state_dict(), b.state_dict()
    same = states[0].keys() == states[1].keys()
    return same and all(
        torch.equal(value, states[1][key]) for key, value in states[0].items()
    )


def test_random_weights_keep_a_signal_alive(model: nn.Module) -> None:
    assert not model.training
    clip = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    pred = model.restore(clip)
    assert pred.shape == (2, 3, 32, 32)
    weight = model.backbone.conv_out.weight
    expected = 0.7 * weight[0].numel() ** -0.5
    assert weight.std().item() == pytest.approx(expected, rel=0.1)


def test_random_weights_are_the_same_again(
    model: nn.Module, tmp_path: Path
) -> None:
    again = init_model(write_config(tmp_path), 'random', 'cpu')
    assert parameters_equal(model, again)


def test_whole_file(model: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / 'whole.safetensors'
    state = {k: v.contiguous() for k, v in model.state_dict().items()}
    save_file(state, path)  # refuses the channels-last layout
    text = SMALL + "weights = dict(asset='star_none.safetensors')\n"
    config = write_config(tmp_path, text)
    assert parameters_equal(init_model(config, path, 'cpu'), model)


def test_folder_of_official_files(model: nn.Module, tmp_path: Path) -> None:
    folder = tmp_path / 'weights'
    (folder / 'vae').mkdir(parents=True)
    state = network_state(model.backbone, model.controlnet)
    torch.save(to_official(state), folder / 'star.pt')
    vae = model.autoencoder.vae.state_dict()
    save_file(vae, folder / 'vae' / 'vae.safetensors')
    config = write_config(tmp_path, SMALL + WEIGHTS)
    loaded = init_model(config, folder, 'cpu')
    assert parameters_equal(loaded, model)
    assert not any(p.is_meta for p in loaded.parameters())
    clip = torch.randint(0, 256, (1, 3, 8, 8), dtype=torch.uint8)
    assert torch.equal(loaded.restore(clip), model.restore(clip))


def test_file_of_another_network(model: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / 'other.safetensors'
    save_file({'some.weight': torch.zeros(3)}, path)
    text = SMALL + "weights = dict(asset='star_none.safetensors')\n"
    with pytest.raises(ValueError, match=r'other\.safetensors') as caught:
        init_model(write_config(tmp_path, text), path, 'cpu')
    assert len(str(caught.value).splitlines()) == 1
    assert 'some.weight' in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('model = dict(', 'cannot be read'),
        ('x = 1', 'has no `model`'),
        (SMALL.replace('I2VGenUNet', 'NoNet'), 'NoNet'),
        (SMALL.replace('num_heads=', 'num_haeds='), 'num_haeds'),
        (SMALL.replace('dim=32', 'dim=33'), 'cannot be built'),
    ],
)
def test_broken_config(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        init_model(write_config(tmp_path, text), 'random', 'cpu')
    assert len(str(caught.value).splitlines()) == 1
    assert 'small.py' in str(caught.value)


def test_own_modules_are_found_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'own_parts.py').write_text('LOADED = True\n')
    imports = "custom_imports = dict(imports=['own_parts'])\n"
    path = write_config(tmp_path, SMALL + imports)
    monkeypatch.setattr(sys, 'path', list(sys.path))
    with pytest.raises(ValueError, match=r"No module named 'own_parts'$"):
        load_config(path)
    monkeypatch.chdir(tmp_path)
    load_config(path)
    assert sys.modules.pop('own_parts').LOADED
    assert sys.path[-1] == str(tmp_path)  # hides nothing


def test_config_by_name() -> None:
    assert load_config('tiny').model.type == 'STARModel'
    default = load_config('tiny_compact')
    assert load_config(None).filename == default.filename
    for name in ('no_such', 'no_such.py', 'no/such'):
        with pytest.raises(ValueError, match=name):
            load_config(name)


def test_dtype_spares_the_noise_schedule(tmp_path: Path) -> None:
    model = init_model(write_config(tmp_path), 'random', 'cpu', 'bf16')
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    assert model.schedule.alpha.dtype == torch.float32


def test_devices_and_dtypes() -> None:
    cpu = find_device('cpu')
    assert find_dtype(None, cpu) is torch.float32
    assert find_dtype(None, torch.device('cuda')) is torch.bfloat16
    assert find_dtype('fp16', cpu) is torch.float16
    assert find_dtype(torch.float16, cpu) is torch.float16
    with pytest.raises(ValueError, match='`dtype`'):
        find_dtype('int8', cpu)
    for name in ('toaster', 'cuda:99'):
        with pytest.raises(ValueError, match=name):
            find_device(name)


def test_official_size_without_memory() -> None:
    settings = load_config('i2vgen')
    counts = [
        sum(p.numel() for p in build_part(settings, name, 'meta').parameters())
        for name in ('backbone', 'controlnet', 'autoencoder')
    ]
    assert counts == [1_411_235_496, 629_886_414, 97_742_847]


def test_no_time_goes_into_numbers_that_are_loaded_over() -> None:
    encoder = {'type': 'OpenCLIPTextEncoder', 'width': 16, 'heads': 2}
    settings = Config({'model': {'part': {**encoder, 'layers': 2}}})
    before = torch.get_rng_state()
    build_part(settings, 'part')  # transformers initialises by itself
    assert torch.equal(torch.get_rng_state(), before)


def test_fill_random_reaches_every_parameter() -> None:
    layer = nn.Sequential(nn.Linear(400, 300), nn.LayerNorm(300))
    for parameter in layer.parameters():
        nn.init.constant_(parameter, float('nan'))
    fill_random(layer)
    assert layer[0].weight.std().item() == pytest.approx(0.035, rel=0.02)
    assert layer[0].bias.std().item() == pytest.approx(0.05, rel=0.2)
    assert layer[1].weight.mean().item() == pytest.approx(1, abs=0.02)


BASELINE = """
model = dict(type='RealESRGANCompact', num_conv=1)
"""


def test_baselines_are_built_and_loaded(tmp_path: Path) -> None:
    config = write_config(tmp_path, BASELINE)
    model = init_model(config, 'random', 'cpu')
    assert not model.training and model.loaded
    clip = torch.randint(0, 256, (1, 3, 8, 8), dtype=torch.uint8)
    pred = model.restore(clip)
    assert pred.shape == (1, 3, 32, 32) and pred.float().std() > 1
    state = {f'params.{k}': v for k, v in model.network.state_dict().items()}
    torch.save({'params': model.network.state_dict()}, tmp_path / 'net.pth')
    loaded = init_model(config, tmp_path / 'net.pth', 'cpu')
    assert parameters_equal(loaded, model)
    assert torch.equal(loaded.restore(clip), pred)
    torch.save(state, tmp_path / 'net.pth')
    with pytest.raises(ValueError, match=r'net\.pth does not fit Real'):
        init_model(config, tmp_path / 'net.pth', 'cpu')
    with pytest.raises(ValueError, match='RealESRGANCompact has no weights'):
        init_model(config, None, 'cpu')


def test_number_format_of_baselines(tmp_path: Path) -> None:
    config = write_config(tmp_path, BASELINE)
    model = init_model(config, 'random', 'cpu', 'bf16')
    assert next(model.parameters()).dtype == torch.bfloat16
    cuda = torch.device('cuda')
    assert find_model_dtype(model, None, cuda) == torch.float32
    assert find_model_dtype(model, 'fp16', cuda) == torch.float16
    model.default_dtype = None
    assert find_model_dtype(model, None, cuda) == torch.bfloat16


@pytest.mark.parametrize('known', ['avx512_bf16', 'amx_bf16', 'avx2'])
def test_number_format_on_a_cpu(
    known: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bfloat16 where the processor computes it, for some models."""
    monkeypatch.setattr(
        torch.cpu, 'get_capabilities', lambda: {known: True}, raising=False
    )
    fast = known != 'avx2'
    found = torch.bfloat16 if fast else torch.float32
    model = init_model('tiny_compact', device='cpu')
    assert dtype_of(model) == found
    for other in (None, torch.float32):
        expected = other or found
        chosen = find_model_dtype(model, other, torch.device('cpu'))
        assert chosen == expected
    small = init_model('tiny', 'random', 'cpu')
    assert dtype_of(small) == torch.float32
    assert dtype_of(init_model('bicubic', device='cpu')) is None
    # large networks, as on CUDA; those that chose float32 keep it
    monkeypatch.setattr('star.apis.inference.devices.LARGE', 10_000)
    for config in ('tiny', 'tiny_dove'):
        model = init_model(config, 'random', 'cpu')
        assert dtype_of(model) == found
        chosen = find_model_dtype(model, 'fp32', torch.device('cpu'))
        assert chosen == torch.float32
    images = init_model('realesr_animevideov3', 'random', 'cpu')
    assert dtype_of(images) == torch.float32


def test_baselines_by_name() -> None:
    model = init_model('lanczos', device='cpu')
    assert type(model).__name__ == 'Lanczos'
    assert find_config('bicubic').parent.name == 'interpolation'
    assert find_config('tiny').parent.name == 'star'
    with pytest.raises(ValueError, match=r"there is no config 'no_such'"):
        find_config('no_such')
    with pytest.raises(ValueError, match='`weights` means nothing to Lanczos'):
        init_model('lanczos', 'net.pth', 'cpu')
