"""Upscale-A-Video's denoiser: a plain UNet where nothing moves, any size."""

import pytest
import torch
from torch import Tensor

from star.models.backbones.upscale_a_video import UAVUNet, temporal
from star.models.backbones.upscale_a_video.temporal import (
    UAVRotary,
    UAVTemporalAttention,
)
from star.models.layers import clip_resnet
from tests.test_models.networks import randomize

SIZES = dict(widths=(32, 64, 64, 64), heads=2, context_dim=16, layers=1)
LABEL = torch.tensor([120])
T = torch.tensor([500])


def small() -> UAVUNet:
    torch.manual_seed(0)
    return randomize(UAVUNet(**SIZES)).eval()


@pytest.fixture(scope='module')
def unet() -> UAVUNet:
    return small()


def inputs(n: int = 1, t: int = 3, h: int = 8, w: int = 8) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(n, 7, t, h, w, generator=generator)
    return [x, T, torch.randn(n, 5, 16, generator=generator), LABEL]


@torch.inference_mode()
def test_equals_diffusers_where_time_does_nothing():
    from diffusers import UNet2DConditionModel  # after star's fixes

    ours = small()
    for name, parameter in ours.named_parameters():
        added = 'shift_conv', 'attn_temporal.to_out', 'resblock_temporal.conv2'
        if any(part in name for part in added):
            parameter.zero_()
    theirs = UNet2DConditionModel(
        in_channels=7,
        block_out_channels=SIZES['widths'],
        layers_per_block=1,
        down_block_types=('DownBlock2D', *['CrossAttnDownBlock2D'] * 3),
        up_block_types=(*['CrossAttnUpBlock2D'] * 3, 'UpBlock2D'),
        only_cross_attention=(True, True, True, False),
        attention_head_dim=2,
        cross_attention_dim=16,
        num_class_embeds=1000,
        use_linear_projection=True,
    ).eval()
    own = ours.state_dict()
    theirs.load_state_dict({name: own[name] for name in theirs.state_dict()})
    for height, width in ((8, 16), (9, 13)):
        x, t, text, label = inputs(2, 1, height, width)
        expected = theirs(x[:, :, 0], t, text, label.expand(2)).sample
        found = ours(x, t, text, label)[:, :, 0]
        assert expected.std() > 0.05
        assert (found - expected).abs().max() < 1e-5


@torch.inference_mode()
@pytest.mark.parametrize('size', [(1, 1), (3, 10), (17, 9)])
def test_any_size(unet: UAVUNet, size: tuple[int, int]):
    found = unet(*inputs(1, 2, *size))
    assert found.shape == (1, 4, 2, *size)
    assert found.isfinite().all()


@torch.inference_mode()
def test_pieces_change_nothing(unet: UAVUNet, monkeypatch: pytest.MonkeyPatch):
    expected = unet(*inputs())
    monkeypatch.setattr(temporal, '_PIECE', 1 << 9)
    monkeypatch.setattr(clip_resnet, '_PIECE', 1 << 9)
    assert (unet(*inputs()) - expected).abs().max() < 1e-5


@torch.inference_mode()
def test_clips_do_not_know_one_another(unet: UAVUNet):
    x, t, text, label = inputs(2)
    both = unet(x, t.expand(2), text, label.expand(2))
    alone = torch.cat(
        [
            unet(a[None], t, b[None], label)
            for a, b in zip(x, text, strict=True)
        ]
    )
    assert (both - alone).abs().max() < 1e-4
    assert (both[0] - both[1]).abs().max() > 0.05


@torch.inference_mode()
def test_order_of_frames_counts(unet: UAVUNet):
    x, *rest = inputs()
    turned = unet(x.flip(2), *rest).flip(2)
    assert (turned - unet(x, *rest)).abs().max() > 1e-3


@torch.inference_mode()
def test_bfloat16():
    network = small()
    x, t, text, label = inputs()
    expected = network(x, t, text, label)
    network.bfloat16()
    table = network.temporal_rotary_emb.freqs
    assert table.dtype == torch.float32
    assert torch.equal(table, small().temporal_rotary_emb.freqs)
    found = network(x.bfloat16(), t, text.bfloat16(), label)
    assert found.dtype == torch.bfloat16
    assert (found - expected).std() < 0.05 * expected.std()


def test_one_table_of_rotations(unet: UAVUNet):
    state = unet.state_dict()
    names = [name for name in state if name.endswith('.freqs')]
    transformers = [n for n in state if n.endswith('norm_temporal.weight')]
    assert len(names) == len(transformers) + 1
    assert len({state[name].data_ptr() for name in names}) == 1
    assert not unet.temporal_rotary_emb.freqs.requires_grad
    with torch.device('meta'):
        empty = UAVUNet(**SIZES)
    empty.load_state_dict(state, assign=True)
    (block,) = empty.mid_block.attentions[0].transformer_blocks
    assert block.attn_temporal.rotary_emb is empty.temporal_rotary_emb


@pytest.mark.parametrize('heads', [3, 4])
def test_refuses_narrow_heads(heads: int):
    with pytest.raises(ValueError, match=f'least 32 each, got {heads}'):
        UAVTemporalAttention(64, heads, UAVRotary())
