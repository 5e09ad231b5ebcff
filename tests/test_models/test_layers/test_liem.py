import pytest
import torch
from torch import nn

from star.models.layers.liem import LIEM, OFFICIAL_LIEM, build_liem
from star.registry import MODELS

C = 8


@pytest.fixture
def x():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, 4, 5, C, generator=generator)


@pytest.fixture
def norm():
    return nn.LayerNorm(C)


def attention(x):
    return 2 * x + x.roll(1, 1)  # any function of the tokens


def saturate(liem, scale=-20.0):
    """Close the gates of tokens whose maximum is large."""
    nn.init.zeros_(liem.conv.weight)
    if isinstance(liem.conv, nn.Linear):
        liem.conv.weight.data[0, 0] = scale
    else:
        liem.conv.weight.data[0, 0, 3, 3] = scale
    return liem


def test_spatial_gate_is_sigmoid_of_7x7_over_max_then_mean(x):
    liem = LIEM('spatial')
    assert liem.conv.weight.shape == (1, 2, 7, 7)
    weight = liem.conv.weight[0]
    gate = liem.local(x)
    padded = nn.functional.pad(
        torch.stack([x.max(-1)[0], x.mean(-1)]), (3, 3, 3, 3)
    )
    window = padded[:, 1, 2, 1 : 1 + 7, 2 : 2 + 7]
    expected = (weight * window).sum().sigmoid()
    assert gate.shape == (2, 3, 4, 5, 1)
    torch.testing.assert_close(gate[1, 2, 1, 2, 0], expected)


def test_temporal_gate_is_pointwise(x):
    liem = LIEM('temporal')
    a, b = liem.conv.weight[0]
    expected = (a * x.max(-1)[0] + b * x.mean(-1)).sigmoid()
    torch.testing.assert_close(liem.local(x)[..., 0], expected)


@pytest.mark.parametrize('axis', ['spatial', 'temporal'])
def test_positions_follow_their_equations(x, norm, axis):
    one = saturate(LIEM(axis))
    gate = one.local(x)
    expected = {
        ('i', 'before_norm'): x + attention(norm(gate * x)),
        ('i', 'after_norm'): x + attention(gate * norm(x)),
        ('ii', 'before_norm'): gate * x + attention(norm(gate * x)),
    }
    after = x + attention(norm(x))
    expected['iii', 'before_norm'] = one.local(after) * after
    for (position, kind), value in expected.items():
        liem = LIEM(axis, position=position, gate=kind)
        liem.load_state_dict(one.state_dict())
        torch.testing.assert_close(liem(x, norm, attention), value)


def test_layer_norm_hides_a_gate_that_does_not_saturate(x, norm):
    plain = x + attention(norm(x))
    with torch.no_grad():
        mild = saturate(LIEM('temporal'), 0.5)(x, norm, attention)
        closed = saturate(LIEM('temporal'), -20)(x, norm, attention)
    assert (mild - plain).abs().max() < 1e-3
    assert (closed - plain).abs().max() > 0.5


@pytest.mark.parametrize(
    'liem, axis',
    [
        (None, 'spatial'),
        (None, 'temporal'),
        ({'type': 'LIEM', 'spatial': False}, 'spatial'),
        ({'type': 'LIEM', 'temporal': False}, 'temporal'),
    ],
)
def test_switched_off_is_the_plain_branch(x, norm, liem, axis):
    gate = build_liem(liem, axis)
    assert not list(gate.parameters())
    torch.testing.assert_close(
        gate(x, norm, attention), x + attention(norm(x)), rtol=0, atol=0
    )


def test_registered_and_default_is_official():
    gate = MODELS.build(dict(OFFICIAL_LIEM))
    assert (gate.position, gate.gate) == ('i', 'before_norm')
    assert gate.conv.kernel_size == (7, 7)


@pytest.mark.parametrize(
    'wrong', [{'axis': 'time'}, {'position': 'iv'}, {'gate': 'none'}]
)
def test_wrong_option_is_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LIEM(**wrong)


def test_unknown_option_fails():
    with pytest.raises(TypeError):
        build_liem({'type': 'LIEM', 'kernel': 3}, 'spatial')
