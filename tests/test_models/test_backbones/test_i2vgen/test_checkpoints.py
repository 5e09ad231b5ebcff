import hashlib
import pickle
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from star.models.backbones import I2VGenUNet
from star.models.backbones.i2vgen import checkpoints
from star.models.backbones.i2vgen.checkpoints import (
    from_official,
    load_checkpoint_file,
    load_star_weights,
    network_state,
    official_name,
    sha256_of,
    star_state,
    to_official,
    verify_sha256,
)
from star.models.controlnets import UNetControlNet
from tests.paths import ROOT, VECTORS, needs_vectors
from tests.test_models.networks import (
    SIZES,
    randomize,
    small_backbone,
    small_controlnet,
)

TOOL = ROOT / 'tools' / 'model_converters' / 'convert_star.py'


@pytest.fixture(scope='module')
def full():
    """Our names at the official size, on meta."""
    with torch.device('meta'):
        return network_state(I2VGenUNet(), UNetControlNet())


@pytest.fixture
def networks():
    return small_backbone(), small_controlnet()


@pytest.fixture
def official(networks):
    return to_official(network_state(*networks))


def fresh():
    return (
        randomize(small_backbone(), 7),
        randomize(small_controlnet(), 8),
    )


def assert_equal(a, b):
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=0, atol=0)


def count(state, rule):
    return sum(v.numel() for k, v in state.items() if rule(k))


def test_parameter_counts(full):
    liem = checkpoints._LIEM.search
    backbone = {k: v for k, v in full.items() if k.startswith('backbone.')}
    controlnet = {k: v for k, v in full.items() if k not in backbone}
    assert count(full, bool) == 2_041_121_910
    assert count(backbone, bool) == 1_411_235_496
    assert count(controlnet, bool) == 629_886_414
    assert count(backbone, liem) == 1_636
    assert count(controlnet, liem) == 718
    trainable = count(controlnet, bool) + count(backbone, liem)
    assert f'{trainable / 1e6:.2f} M' == '629.89 M'


@needs_vectors
def test_names_and_shapes_are_the_manifest(full):
    rows = (VECTORS.parent / 'i2vgen_manifest.tsv').read_text().splitlines()
    manifest = {
        name: tuple(map(int, shape.split('x')))
        for name, shape, *_ in (row.split('\t') for row in rows[1:])
    }
    official = to_official(full)
    assert len(official) == len(full) == 2247
    assert {k: tuple(v.shape) for k, v in official.items()} == manifest
    back = from_official(official, full)
    assert {k: v.shape for k, v in back.items()} == {
        k: v.shape for k, v in full.items()
    }


@pytest.mark.parametrize(
    'ours, theirs',
    [
        (
            'backbone.encoder.input_blocks.1.res.temporal_conv.layers.0.conv.',
            'input_blocks.1.0.temopral_conv.conv1.2.',
        ),
        ('backbone.output_blocks.2.up.conv.', 'output_blocks.2.1.conv.'),
        ('backbone.output_blocks.5.up.conv.', 'output_blocks.5.3.conv.'),
        ('controlnet.zero_convs.3.', 'VideoControlNet.zero_convs.3.0.'),
        ('controlnet.hint_conv.', 'VideoControlNet.input_hint_block.'),
    ],
)
def test_official_name(full, ours, theirs):
    assert official_name(ours + 'bias', full) == theirs + 'bias'


@pytest.mark.parametrize('wrap', ['bare', 'state_dict', 'module', 'ours'])
def test_round_trip(networks, official, wrap):
    checkpoint = {
        'bare': official,
        'state_dict': {'state_dict': official},
        'module': {'module.' + k: v for k, v in official.items()},
        'ours': network_state(*networks),
    }[wrap]
    loaded = fresh()
    load_star_weights(*loaded, checkpoint)
    assert_equal(network_state(*loaded), network_state(*networks))


def test_networks_on_meta_take_the_tensors(networks, official):
    with torch.device('meta'):
        loaded = I2VGenUNet(out_dim=5, **SIZES), UNetControlNet(**SIZES)
    load_star_weights(*loaded, official)
    assert_equal(network_state(*loaded), network_state(*networks))
    ours = loaded[0].conv_out.weight
    assert ours.data_ptr() == official['out.2.weight'].data_ptr()
    assert ours.requires_grad


def venhancer(official):
    state = {k: v for k, v in official.items() if '.local' not in k}
    for name in ('hint_time_zero_linear.weight', 'scale_cond.0.bias'):
        state['VideoControlNet.' + name] = torch.zeros(3)
    return state


def test_venhancer_keeps_liem_at_default(networks, official):
    loaded = fresh()
    before = {k: v.clone() for k, v in network_state(*loaded).items()}
    load_star_weights(*loaded, venhancer(official))
    after, source = network_state(*loaded), network_state(*networks)
    local = {k for k in after if checkpoints._LIEM.search(k)}
    assert len(local) == 22
    expected = {k: before[k] if k in local else source[k] for k in after}
    assert_equal(after, expected)


def test_venhancer_on_meta_draws_liem(official):
    with torch.device('meta'):
        loaded = I2VGenUNet(out_dim=5, **SIZES), UNetControlNet(**SIZES)
    load_star_weights(*loaded, venhancer(official))
    weight = loaded[0].encoder.middle_block.spatial.local1.conv.weight
    bound = (2 * 49) ** -0.5  # of a new Conv2d(2, 1, 7)
    assert 0.5 * bound < weight.abs().max() <= bound


def test_anything_else_is_refused_with_its_keys(networks, official):
    def refused(state, *words):
        with pytest.raises(ValueError) as error:
            star_state(state, network_state(*networks))
        assert '\n' not in str(error.value)
        for word in words:
            assert word in str(error.value)

    without_liem = {k: v for k, v in official.items() if '.local' not in k}
    refused(without_liem, '22 missing', '0 unexpected', 'local1.conv1')
    extra = {**official, 'other.weight': torch.zeros(1)}
    refused(extra, '0 missing', '1 unexpected keys (other.weight)')
    refused({**venhancer(official), 'x': torch.zeros(1)}, 'x')
    lacking = {k: v for k, v in official.items() if k != 'out.0.bias'}
    refused(lacking, '1 missing keys (out.0.bias)')
    ours = network_state(*networks)
    refused({**ours, 'backbone.x': torch.zeros(1)}, 'backbone.x')
    refused({**official, 'out.0.bias': torch.zeros(3)}, 'out.0.bias', '(3,)')
    refused({'epoch': 3}, 'epoch')
    refused({}, 'no state dict')


def test_files_are_read(tmp_path, official):
    save_file(official, tmp_path / 'a.safetensors')
    torch.save({'state_dict': official}, tmp_path / 'a.pt')
    torch.save(
        official, tmp_path / 'b.pt', _use_new_zipfile_serialization=False
    )
    assert_equal(load_checkpoint_file(tmp_path / 'a.safetensors'), official)
    loaded = load_checkpoint_file(tmp_path / 'a.pt')
    assert_equal(loaded['state_dict'], official)
    assert_equal(load_checkpoint_file(tmp_path / 'b.pt'), official)


class Code:
    def __reduce__(self):
        return (sys.exit, (66,))


@pytest.mark.parametrize(
    'name, content',
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
    with pytest.raises(ValueError) as error:
        load_checkpoint_file(path)
    assert name in str(error.value)
    assert '\n' not in str(error.value)


def test_code_in_a_zip_checkpoint_is_not_run(tmp_path):
    path = tmp_path / 'code.pt'
    torch.save({'state_dict': Code()}, path)
    with pytest.raises(ValueError, match='code'):
        load_checkpoint_file(path)


def test_truncated_checkpoint_is_refused(tmp_path, official):
    for suffix, save in (('pt', torch.save), ('safetensors', save_file)):
        path = tmp_path / f'a.{suffix}'
        save(official, path)
        path.write_bytes(path.read_bytes()[:-1000])
        with pytest.raises(ValueError, match=suffix):
            load_checkpoint_file(path)


def test_sha256(tmp_path):
    path = tmp_path / 'file'
    path.write_bytes(b'abc' * 1000)
    digest = hashlib.sha256(b'abc' * 1000).hexdigest()
    assert sha256_of(path) == digest
    verify_sha256(path, digest.upper())
    with pytest.raises(ValueError, match='expected 00'):
        verify_sha256(path, '0' * 64)


@pytest.fixture
def tool(monkeypatch, networks):
    """The conversion tool, for the small networks."""
    monkeypatch.syspath_prepend(str(TOOL.parent))
    import convert_star

    state = network_state(*networks)
    monkeypatch.setattr(convert_star, 'expected_state', lambda: state)
    return convert_star


def test_tool_as_a_command(tmp_path):
    source = tmp_path / 'noise.pt'
    source.write_bytes(b'noise')
    result = subprocess.run(
        [sys.executable, TOOL, source, tmp_path / 'out.safetensors'],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert str(source) in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_tool_writes_and_overwrites_if_told(
    tool, tmp_path, official, networks
):
    source, target = tmp_path / 'a.pt', tmp_path / 'b.safetensors'
    torch.save({'state_dict': official}, source)
    assert tool.main([str(source), str(target)]) == 0
    assert_equal(load_file(target), network_state(*networks))
    target.write_bytes(b'old')
    assert tool.main([str(source), str(target)]) == 2
    assert target.read_bytes() == b'old'
    assert tool.main([str(source), str(target), '--overwrite']) == 0
    assert_equal(load_file(target), network_state(*networks))
    assert len(list(tmp_path.iterdir())) == 2


def test_tool_refuses_wrong_contents(tool, tmp_path, official, capsys):
    source, target = tmp_path / 'a.pt', tmp_path / 'b.safetensors'
    official['other'] = official.pop('out.2.weight')
    torch.save(official, source)
    assert tool.main([str(source), str(target)]) == 2
    error = capsys.readouterr().err
    assert 'missing keys (out.2.weight)' in error
    assert 'unexpected keys (other)' in error
    assert len(error.splitlines()) == 1
    options = [str(source), str(target), '--sha256', '0' * 64]
    assert tool.main(options) == 2
    assert 'SHA-256' in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize('target', ['a.pt', 'absent/a.safetensors'])
def test_tool_refuses_targets(tool, tmp_path, target, capsys):
    source = tmp_path / 's.pt'
    source.write_bytes(b'')
    assert tool.main([str(source), str(tmp_path / target)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
