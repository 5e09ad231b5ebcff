"""`star convert star-cogvideox` on small files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from star.cli.main import main
from star.models.backbones import CogVideoXDiT
from star.models.backbones.cogvideox import published
from tests.paths import ROOT
from tests.test_models import cogvideox_files
from tests.test_models.cogvideox_files import (
    PREFIX,
    SIZES,
    base_network,
    official_shapes,
    official_state,
)

COMMAND = ['convert', 'star-cogvideox']


@pytest.fixture
def source(tmp_path):
    path = tmp_path / 'mp_rank_00_model_states.pt'
    state = official_state()
    state['conditioner.a'] = torch.zeros(2)
    torch.save({'module': state}, path)
    return path


def convert(*arguments):
    return main([*COMMAND, *map(str, arguments)])


def load(path):
    """Load a converted file into a network of its size."""
    network = CogVideoXDiT(**SIZES)
    state = load_file(path)
    network.load_state_dict(
        {k.removeprefix('backbone.'): v.float() for k, v in state.items()}
    )
    return state


def test_converts_the_released_form(source, tmp_path, capsys):
    target = tmp_path / 'a.safetensors'
    assert convert(source, target) == 0
    state = load(target)
    assert {v.dtype for v in state.values()} == {torch.float32}
    out = capsys.readouterr().out
    assert f'{len(state)} tensors' in out
    assert 'LoRA of rank 3 merged into 8 weights' in out
    assert 'left out: 1 named conditioner....' in out
    assert len(list(tmp_path.iterdir())) == 2


def test_options(source, tmp_path):
    one, two, half = (tmp_path / f'{i}.safetensors' for i in range(3))
    name = 'backbone.transformer.transformer_blocks.0.attn1.to_k.weight'
    qkv = PREFIX + 'transformer.layers.0.attention.query_key_value.'
    state = official_state()
    original = state[qkv + 'original.weight'][32:64]
    assert convert(source, one) == 0
    assert convert(source, two, '--lora-alpha', 2) == 0
    added, twice = (load(path)[name] - original for path in (one, two))
    torch.testing.assert_close(twice, 2 * added, atol=1e-5, rtol=0)
    assert added.abs().max() > 0.1
    assert convert(source, half, '--dtype', 'bf16') == 0
    for key, value in load(half).items():
        assert torch.equal(value, load_file(one)[key].bfloat16())
    size = half.stat().st_size / one.stat().st_size
    assert 0.5 < size < 0.6


def test_converts_the_base_model(tmp_path):
    base = base_network()
    base.save_pretrained(tmp_path / 'transformer')
    target = tmp_path / 'a.safetensors'
    assert convert(tmp_path / 'transformer', target) == 0
    patches = load(target)['backbone.transformer.patch_embed.proj.weight']
    assert torch.equal(patches[:, :4], base.patch_embed.proj.weight)
    assert not patches[:, 4:].any()


def test_names_the_model(source, tmp_path, capsys, monkeypatch):
    target = tmp_path / 'a.safetensors'
    assert convert(source, target) == 0
    small = 'no published model (width 32, 2 layers)'
    assert f'model: {small}\n' in capsys.readouterr().out
    with safe_open(target, 'pt') as file:
        assert file.metadata()['model'] == small
    known = {(32, 2): ('CogVideoX-2B', 'cogvideox_2b', 'sincos')}
    monkeypatch.setattr(published, '_PUBLISHED', known)
    assert convert(source, target, '--overwrite') == 0
    out = capsys.readouterr().out
    assert 'model: CogVideoX-2B (width 32, 2 layers), for the config ' in out
    assert "note: the file's positions are 'rope': use it with" in out


def test_sinusoids_of_2b_are_left_out(tmp_path, capsys):
    source, target = tmp_path / 'a.safetensors', tmp_path / 'b.safetensors'
    state = official_state()
    for name in ('freqs_sin', 'freqs_cos'):
        del state[f'{PREFIX}mixins.pos_embed.{name}']
    sinusoids = torch.zeros(1, 9, 32)
    save_file(
        {**state, PREFIX + 'mixins.pos_embed.pos_embedding': sinusoids}, source
    )
    assert convert(source, target) == 0
    load(target)
    out = capsys.readouterr().out
    assert 'mixins.pos_embed.pos_embedding' in out and 'note' not in out


def test_the_model_of_another_config_is_refused(source, tmp_path, capsys):
    target = tmp_path / 'a.safetensors'
    assert convert(source, target, '--config', 'cogvideox_5b') == 2
    error = capsys.readouterr().err
    assert f'{source} holds no published model (width 32, 2 layers)' in error
    assert 'cogvideox_5b is for CogVideoX-5B (width 3072, 42 layers)' in error
    assert len(error.splitlines()) == 1 and not target.exists()
    assert convert(source, target, '--config', 'tiny') == 2
    assert 'has no transformer of CogVideoX' in capsys.readouterr().err
    config = tmp_path / 'small.py'
    config.write_text(
        f"model = dict(backbone=dict(type='CogVideoXDiT', **{SIZES}))"
    )
    assert convert(source, target, '--config', config) == 0


def test_overwrites_if_told(source, tmp_path, capsys):
    target = tmp_path / 'a.safetensors'
    target.write_bytes(b'old')
    assert convert(source, target) == 2
    assert 'exists (use --overwrite)' in capsys.readouterr().err
    assert target.read_bytes() == b'old'
    assert convert(source, target, '--overwrite') == 0
    load(target)
    assert convert(target, target, '--overwrite') == 2
    assert 'is the source' in capsys.readouterr().err


def test_unknown_names_are_refused_or_dropped_by_name(tmp_path, capsys):
    source, target = tmp_path / 'a.safetensors', tmp_path / 'b.safetensors'
    save_file({**official_state(), 'denoiser.s': torch.ones(2)}, source)
    assert convert(source, target) == 2
    error = capsys.readouterr().err
    assert str(source) in error and '1 unknown (denoiser.s)' in error
    assert len(error.splitlines()) == 1
    assert list(tmp_path.iterdir()) == [source]
    assert convert(source, target, '--drop', 'denoiser.') == 0


@pytest.mark.parametrize(
    'name, content',
    [
        ('absent.pt', None),
        ('noise.pt', b'noise'),
        ('noise.safetensors', b'noise' * 9),
        ('folder', None),
    ],
)
def test_wrong_sources_end_in_one_line(tmp_path, capsys, name, content):
    source = tmp_path / name
    if content:
        source.write_bytes(content)
    elif name == 'folder':
        source.mkdir()
    assert convert(source, tmp_path / 'out.safetensors') == 2
    error = capsys.readouterr().err
    assert str(source) in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / 'out.safetensors').exists()


@pytest.mark.parametrize(
    'options, message',
    [
        (['out.pt'], 'must end in .safetensors'),
        (['absent/out.safetensors'], 'no such folder'),
        (['out.safetensors', '--sha256', '0' * 64], 'SHA-256'),
        (['out.safetensors', '--dtype', 'int8'], 'int8'),
        (['out.safetensors', '--lora-alpha', 'x'], "'x'"),
    ],
)
def test_wrong_options_end_in_one_line(
    source, tmp_path, monkeypatch, capsys, options, message
):
    monkeypatch.chdir(tmp_path)
    try:
        code = convert(source, *options)
    except SystemExit as end:
        code = end.code
    error = capsys.readouterr().err
    assert code == 2
    assert message in error
    assert len(error.splitlines()) == 1
    assert list(tmp_path.iterdir()) == [source]


def test_help_tells_what_it_reads(capsys):
    with pytest.raises(SystemExit, match='0'):
        convert('--help')
    text = capsys.readouterr().out
    for word in ('mp_rank_00_model_states.pt', '--lora-alpha', 'transformer'):
        assert word in text


_MEASURE = """
import json, sys, threading, time
from pathlib import Path

from star.cli.main import main

def convert(*words):
    assert main(['convert', 'star-cogvideox', *words]) == 0

def status(key):
    for line in Path('/proc/self/status').read_text().splitlines():
        if line.startswith(key + ':'):
            return int(line.split()[1]) * 1024

small, large, target = sys.argv[1:]
convert(small, target)  # imports once
before = status('RssAnon'), status('VmRSS')
Path('/proc/self/clear_refs').write_text('5')  # forget the peak
peak, done = [0], threading.Event()

def watch():
    while not done.is_set():
        peak[0] = max(peak[0], status('RssAnon'))
        time.sleep(0.002)

thread = threading.Thread(target=watch, daemon=True)
thread.start()
convert(large, target, '--overwrite')
done.set()
thread.join()
print(json.dumps([peak[0] - before[0], status('VmHWM') - before[1]]))
"""


@pytest.mark.skipif(
    not Path('/proc/self/clear_refs').exists(), reason='needs Linux'
)
@pytest.mark.slow
@pytest.mark.parametrize('layers', [8, 32])
def test_memory_is_that_of_one_tensor(source, tmp_path, monkeypatch, layers):
    """A file is mapped, which the kernel can undo; nothing more is held."""
    monkeypatch.setattr(cogvideox_files, 'HIDDEN', 512)
    monkeypatch.setattr(cogvideox_files, 'RANK', 64)
    large = tmp_path / 'large.pt'
    shapes = official_shapes(layers)
    state = {k: torch.full(shape, 0.5) for k, shape in shapes.items()}
    torch.save({'module': state}, large)
    biggest = max(tensor.nbytes for tensor in state.values())
    size = large.stat().st_size
    del state
    paths = [source, large, tmp_path / 'out.safetensors']
    result = subprocess.run(
        [sys.executable, '-c', _MEASURE, *map(str, paths)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert result.returncode == 0, result.stderr
    anonymous, resident = json.loads(result.stdout.splitlines()[-1])
    print(f'{size=} {biggest=} {anonymous=} {resident=}')
    assert anonymous < 6 * biggest < 0.4 * size
    assert resident < 1.3 * size
