import math

import pytest
import torch
import torch.nn.functional as F

from star.models.backbones.i2vgen import blocks as unet_blocks
from star.models.backbones.i2vgen import convolution
from star.models.backbones.i2vgen.encoder import time_sinusoid
from star.registry import MODELS
from tests.test_models.networks import (
    randomize,
    small_backbone,
    small_controlnet,
    small_inputs,
)


def close(a, b, tolerance=1e-5):
    torch.testing.assert_close(a, b, rtol=0, atol=tolerance)


@torch.no_grad()
def test_batch_equals_separate_clips():
    backbone = small_backbone()
    z_t, t, text, _ = small_inputs()
    both = backbone(z_t, t, text)
    assert both.shape == (2, 5, 3, 6, 8)
    assert both.std() > 0.01
    for i in range(2):
        close(both[i : i + 1], backbone(z_t[[i]], t[[i]], text[[i]]))


@torch.no_grad()
def test_projected_text_equals_text():
    backbone = small_backbone()
    z_t, t, text, _ = small_inputs()
    projected = backbone.project_text(text)
    close(backbone(z_t, t, projected), backbone(z_t, t, text), 0)
    other = backbone(z_t, t, backbone.project_text(text.flip(0)))
    assert (other - backbone(z_t, t, text)).abs().max() > 1e-3


@torch.no_grad()
def test_one_text_serves_a_batch():
    backbone = small_backbone()
    z_t, t, text, _ = small_inputs()
    close(
        backbone(z_t, t, text[:1]),
        backbone(z_t, t, text[:1].expand(2, -1, -1)),
    )


@torch.no_grad()
def test_every_input_matters():
    backbone, controlnet = small_backbone(), small_controlnet()
    z_t, t, text, z_lq = small_inputs()
    v = backbone(z_t, t, text)
    control = controlnet(z_t, t, text, z_lq)
    for changed in (
        backbone(z_t.flip(2), t, text).flip(2),  # frame order: convolutions
        backbone(z_t, t + 100, text),
        backbone(z_t, t, text + 1),
        backbone(z_t, t, text, control),
    ):
        assert (v - changed).abs().max() > 1e-4


def test_new_backbone_gives_zero_and_learns():
    backbone = small_backbone(random=False)
    z_t, t, text, _ = small_inputs()
    v = backbone(z_t, t, text)
    assert not v.any()
    (v - 1).square().mean().backward()
    assert backbone.conv_out.weight.grad.any()


@pytest.mark.parametrize(
    'levels, mult, rule',
    [
        ((1,), (1, 1), (0, 0)),
        ((1, 1), (2, 2), (0, 0)),
        ((1, 1, 2), (4, 4), (2, 0)),
        ((1, 1, 1, 1), (8, 8), (2, 0)),
    ],
)
@torch.no_grad()
def test_sizes_that_fit(levels, mult, rule):
    backbone = small_backbone(dim_mult=levels)
    assert (backbone.size_multiple, backbone.size_remainder) == (mult, rule)
    height = mult[0] + rule[0]
    z_t, t, text, _ = small_inputs(1, 1, height, 2 * mult[1])
    assert backbone(z_t, t, text).shape == (1, 5, 1, height, 2 * mult[1])


@pytest.mark.parametrize(
    'size, message', [((16, 16), r'height.* 8 k \+ 2, got 16')]
)
def test_wrong_size_names_the_rule(size, message):
    backbone = small_backbone(dim_mult=(1, 1, 1, 1))
    z_t, t, text, _ = small_inputs(1, 1, *size)
    with pytest.raises(ValueError, match=message):
        backbone(z_t, t, text)
    with pytest.raises(ValueError, match=r'width.* 8 k \+ 0, got 12'):
        backbone(z_t[:, :, :, :10, :12], t, text)
    with pytest.raises(ValueError, match=r'\(N, 6, T, H, W\)'):
        backbone(z_t[:, :4], t, text)


def test_wrong_channels_are_named():
    with pytest.raises(ValueError, match='`dim` must be'):
        small_backbone(dim=48)
    with pytest.raises(ValueError, match='head_dim'):
        small_backbone(head_dim=24)


@torch.no_grad()
def test_liem_options_change_what_they_should():
    inputs = small_inputs()[:3]
    options = [
        None,
        {'type': 'LIEM'},
        {'type': 'LIEM', 'spatial': False},
        {'type': 'LIEM', 'temporal': False},
        {'type': 'LIEM', 'position': 'ii'},
        {'type': 'LIEM', 'position': 'iii'},
        {'type': 'LIEM', 'gate': 'after_norm'},
    ]
    full = small_backbone().state_dict()
    outputs, counts = [], []
    for liem in options:
        backbone = small_backbone(liem=liem)
        own = backbone.state_dict()
        local = [k for k in own if '.local' in k]
        assert {k for k in full if '.local' not in k} == set(own) - set(local)
        backbone.load_state_dict({k: full[k] for k in own})
        for k in local:
            own[k].fill_(-1)  # gates near zero
        outputs.append(backbone(*inputs))
        counts.append(len(local))
    spatial, temporal = 4, 5  # transformers with gates; temporal has two
    both = spatial + 2 * temporal
    assert counts == [0, both, 2 * temporal, spatial, both, both, both]
    for i, a in enumerate(outputs):
        for b in outputs[:i]:
            assert (a - b).abs().max() > 1e-4


def test_registered_with_liem_as_config():
    backbone = MODELS.build(
        {
            'type': 'I2VGenUNet',
            'sizes': {
                'dim': 32,
                'dim_mult': [1],
                'head_dim': 32,
                'num_heads': 1,
                'context_dim': 8,
            },
            'liem': {'type': 'LIEM', 'position': 'iii'},
        }
    )
    assert backbone.encoder.middle_block.spatial.local1.position == 'iii'


def test_checkpointing_gives_the_same_gradients():
    inputs = small_inputs(1)[:3]
    gradients = []
    for checkpointing in (False, True):
        backbone = small_backbone(checkpointing=checkpointing)
        backbone(*inputs).square().mean().backward()
        gradients.append([p.grad for p in backbone.parameters()])
    for a, b in zip(*gradients, strict=True):
        close(a, b, 1e-6)


@torch.no_grad()
def test_bfloat16_is_near_float32():
    backbone = small_backbone()
    z_t, t, text, _ = small_inputs()
    v = backbone(z_t, t, text)
    with torch.autocast('cpu', torch.bfloat16):
        auto = backbone(z_t, t, text)
    half = backbone.bfloat16()(z_t, t, text)
    assert auto.dtype == half.dtype == torch.float32
    for other in (auto, half):
        assert (other - v).std() < 0.05 * v.std()


def test_time_sinusoid():
    embedded = time_sinusoid(torch.tensor([0, 899]), 320)
    assert embedded[0].tolist() == [1.0] * 160 + [0.0] * 160
    angle = 899 * 10000 ** (-7 / 160)
    assert embedded[1, 7].item() == pytest.approx(math.cos(angle), abs=1e-4)
    assert embedded[1, 167].item() == pytest.approx(math.sin(angle), abs=1e-4)


@torch.no_grad()
def test_temporal_convolution_is_the_3d_one():
    layer = randomize(unet_blocks.TemporalConv(32, 0.1), scale=0.1)
    x = torch.randn(2, 4, 3, 5, 32)
    y = z = x.permute(0, 4, 1, 2, 3)
    for part in layer.layers:
        z = F.silu(F.group_norm(z, 32, part.norm.weight, part.norm.bias))
        weight = part.conv.weight[..., None]
        z = F.conv3d(z, weight, part.conv.bias, padding=(1, 0, 0))
    close(layer(x), (y + z).permute(0, 2, 3, 4, 1))


@torch.no_grad()
def test_tiny_convolution_is_the_usual_one():
    conv = randomize(unet_blocks.ProductConv(6, 5), scale=0.3)
    conv.to(memory_format=torch.channels_last)
    for size in ((2, 4, 2), (1, 1, 1), (2, 8, 8), (3, 9, 8)):
        x = torch.randn(size[0], 6, *size[1:])
        expected = F.conv2d(x, conv.weight, conv.bias, padding=1)
        close(conv(x), expected)
        close(conv(x.contiguous(memory_format=torch.channels_last)), expected)


@torch.no_grad()
def test_convolution_is_a_product_where_its_weights_are_many(monkeypatch):
    down = randomize(unet_blocks.UNetDownsample(6).conv, scale=0.3)
    wide = randomize(unet_blocks.ProductConv(6, 640), scale=0.3)
    time = randomize(unet_blocks.TemporalConvLayer(32, 0).conv, scale=0.3)
    monkeypatch.setattr(convolution, 'MAX_MATRIX_ROWS', 5)
    products = []
    product = convolution.product
    monkeypatch.setattr(
        convolution,
        'product',
        lambda x, *rest: products.append(1) or product(x, *rest),
    )
    for conv, size, faster, is_product in (
        (down, (1, 2, 2), False, True),  # 2 x 1 positions
        (down, (1, 7, 5), False, False),
        (wide, (2, 10, 8), False, True),
        (wide, (2, 10, 9), False, False),
        (wide, (2, 10, 16), True, True),
        (wide, (2, 10, 17), True, False),
        (time, (1, 2, 2), True, True),
        (time, (1, 3, 2), True, False),
    ):
        monkeypatch.setattr(convolution, 'is_faster', lambda x, f=faster: f)
        conv.to(memory_format=torch.channels_last)
        x = torch.randn(size[0], conv.in_channels, *size[1:])
        products.clear()
        found = conv(x)
        assert bool(products) == is_product
        close(
            found,
            F.conv2d(x, conv.weight, conv.bias, conv.stride, conv.padding),
        )


@torch.no_grad()
def test_temporal_product_keeps_the_padding():
    x = torch.randn(2, 4, 3, 5, 32)
    found = {}
    for mode in ('zeros', 'replicate'):
        layer = randomize(unet_blocks.TemporalConv(32, 0.1), scale=0.1)
        unet_blocks.set_time_padding(layer, mode)
        usual = layer(x)
        layer.to(memory_format=torch.channels_last)
        found[mode] = layer(x)
        close(found[mode], usual)
    assert (found['zeros'] - found['replicate']).abs().max() > 1e-3


@torch.no_grad()
def test_parts_give_what_the_whole_gives(monkeypatch):
    backbone = small_backbone()
    inputs = small_inputs()[:3]
    whole = backbone(*inputs)
    monkeypatch.setattr(unet_blocks, 'MAX_TOKENS', 7)
    monkeypatch.setattr(unet_blocks, 'MAX_ATTENTION_BATCH', 5)
    close(backbone(*inputs), whole)


@pytest.mark.parametrize('length', [1, 2, 16, 17])
@pytest.mark.parametrize(
    ('dtype', 'tolerance'), [(torch.float32, 2e-6), (torch.bfloat16, 3e-2)]
)
@pytest.mark.parametrize('learning', [False, True])
def test_attention_of_short_sequences(length, dtype, tolerance, learning):
    generator = torch.Generator().manual_seed(length)
    shape = (3, 6, 2, length, 8)
    tokens = torch.randn(shape, generator=generator).to(dtype)
    ours, theirs = (tokens.clone().requires_grad_() for _ in range(2))
    with torch.set_grad_enabled(learning):
        found = unet_blocks.attend(*ours)
        expected = F.scaled_dot_product_attention(*theirs.float())
    close = {'rtol': tolerance, 'atol': tolerance}
    torch.testing.assert_close(found.float(), expected, **close)
    if learning:
        found.float().square().sum().backward()
        expected.square().sum().backward()
        close = {'rtol': tolerance, 'atol': 10 * tolerance}
        torch.testing.assert_close(ours.grad, theirs.grad, **close)


@torch.no_grad()
def test_ends_of_a_clip_may_stand_for_the_frames_beyond():
    z_t, t, text, z_lq = small_inputs(1, 6)
    z_t, z_lq = (z[:, :, :1].expand(-1, -1, 6, -1, -1) for z in (z_t, z_lq))
    steps = {}
    for mode in ('zeros', 'replicate'):
        backbone = small_backbone(time_padding=mode)
        controlnet = small_controlnet(time_padding=mode)
        v = backbone(z_t, t, text, controlnet(z_t, t, text, z_lq))
        steps[mode] = v.diff(dim=2).abs().amax((0, 1, 3, 4))
    assert steps['zeros'][[0, -1]].min() > 1e-3
    assert steps['replicate'].max() < 1e-5
    with pytest.raises(ValueError, match="'replicate', got 'reflect'"):
        small_backbone(time_padding='reflect')
