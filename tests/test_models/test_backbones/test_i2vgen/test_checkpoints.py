import pytest
import torch

from star.models.backbones import I2VGenUNet
from star.models.backbones.i2vgen import checkpoints
from star.models.backbones.i2vgen.checkpoints import (
    from_official,
    load_star_weights,
    network_state,
    official_name,
    star_state,
    to_official,
)
from star.models.controlnets import UNetControlNet
from tests.paths import VECTORS, needs_vectors
from tests.test_models.networks import (
    randomize,
    small_backbone,
    small_controlnet,
)


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


@pytest.mark.parametrize('names', ['official', 'ours'])
def test_round_trip(networks, official, names):
    ours = network_state(*networks)
    loaded = fresh()
    load_star_weights(*loaded, official if names == 'official' else ours)
    assert_equal(network_state(*loaded), network_state(*networks))


def test_networks_on_meta_take_the_tensors(networks, official):
    with torch.device('meta'):
        loaded = small_backbone(random=False), small_controlnet(random=False)
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
        loaded = small_backbone(random=False), small_controlnet(random=False)
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
    refused(without_liem, ': 22 missing', 'local1.conv1')
    extra = {**official, 'other.weight': torch.zeros(1)}
    refused(extra, ': 1 unknown (other.weight)')
    refused({**venhancer(official), 'x': torch.zeros(1)}, ': 1 unknown (x)')
    lacking = {k: v for k, v in official.items() if k != 'out.0.bias'}
    refused(lacking, ': 1 missing (out.0.bias)')
    refused(venhancer(lacking), ': 1 missing (out.0.bias)')
    ours = network_state(*networks)
    refused({**ours, 'backbone.x': torch.zeros(1)}, ': 1 unknown (backbone.x)')
    refused({**official, 'out.0.bias': torch.zeros(3)}, 'out.0.bias is (3,)')
    appended = torch.zeros(*official['out.2.weight'].shape, 2)
    refused({**official, 'out.2.weight': appended}, ': 1 of another shape')


def test_official_weights_leave_updates_new(networks, official):
    """A network with LoRA computes what the official weights do."""
    plain, _ = networks
    lora = {'type': 'LoRA', 'rank': 2, 'alpha': 2}
    updated = small_backbone(random=False, lora=lora)
    load_star_weights(updated, small_controlnet(), official)
    own = updated.state_dict()
    for name, tensor in plain.state_dict().items():
        assert torch.equal(own.pop(name), tensor)
    layers = {name.partition('.lora.')[0] for name in own}
    assert len(own) == 2 * len(layers) > 0
    kinds = {name.rpartition('.')[2] for name in layers}
    assert kinds == {'to_q', 'to_k', 'to_v', 'to_out'}
    assert all(t.abs().max() == 0 for n, t in own.items() if n.endswith('.b'))
