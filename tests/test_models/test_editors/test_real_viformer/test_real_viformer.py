"""RealViformer: its parts from their description, its memory, its file."""

import pytest
import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from star.models.editors import RealViformer
from star.models.editors.real_viformer.blocks import (
    ChannelAttention,
    ChannelNorm,
    GatedFeedForward,
    TransformerBlock,
)
from star.models.editors.real_viformer.real_viformer import RealViformerNet
from star.models.restoration.options import RestoreOptions


def randomize(network: nn.Module) -> nn.Module:
    """Give every parameter random values that hide no part."""
    generator = torch.Generator().manual_seed(0)
    for name, parameter in network.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if 'temperature' in name:
            value = 1 + 0.1 * noise
        elif parameter.ndim > 1:
            value = noise * 0.7 * parameter[0].numel() ** -0.5
        else:
            value = 0.05 * noise + float(name.endswith('weight'))
        parameter.data.copy_(value)
    return network.eval().requires_grad_(False)


def model(**options) -> RealViformer:
    made = RealViformer(**options).eval()
    made.network = randomize(
        RealViformerNet(dim=16, blocks=(1, 1, 1, 1), heads=(1, 2, 2))
    )
    made.loaded = True
    return made


def clip(frames: int = 5, height: int = 16, width: int = 20) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(frames, 3, 4, 5, generator=generator) * 255
    smooth = F.interpolate(coarse, size=(height, width), mode='bilinear')
    return smooth.round().to(torch.uint8)


def features(channels: int) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return 1 + torch.randn(2, channels, 6, 8, generator=generator)


def test_number_of_parameters():
    with torch.device('meta'):
        made = RealViformer()
    assert sum(p.numel() for p in made.parameters()) == 5_817_593


def test_norm_from_its_description():
    x = features(12)
    norm = randomize(ChannelNorm(12))
    pixels = rearrange(x, 'n c h w -> n h w c')
    spread = (pixels.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
    expected = rearrange(
        pixels / spread * norm.body['weight'], 'n h w c -> n c h w'
    )
    assert (norm(x) - expected).abs().max() < 1e-5


def test_attention_from_its_description():
    """Head by head, channel by channel."""
    x, attn = features(8), randomize(ChannelAttention(8, 2, weighed=True))
    qkv = attn.qkv_dwconv(attn.qkv(x))
    q, k, v = rearrange(
        qkv, 'n (three g c) h w -> three n g c (h w)', three=3, g=2
    )
    out = torch.zeros_like(v)
    for n in range(2):
        for head in range(2):
            logits = torch.tensor(
                [
                    [F.cosine_similarity(a, b, dim=0) for b in k[n, head]]
                    for a in q[n, head]
                ]
            )
            logits = logits * attn.temperature[head].item()
            hidden = torch.stack(
                [
                    F.gelu(
                        attn.linear1.weight @ torch.stack([r.max(), r.mean()])
                    )
                    for r in logits
                ]
            )
            weights = (attn.linear2.weight @ hidden).sigmoid()
            shares = logits.exp() / logits.exp().sum(1, keepdim=True)
            out[n, head] = shares @ v[n, head] * weights
    expected = attn.project_out(
        rearrange(out, 'n g c (h w) -> n (g c) h w', w=8)
    )
    assert (attn(x) - expected).abs().max() < 1e-5


def test_feed_forward_and_block_from_their_descriptions():
    x = features(16)
    block = randomize(TransformerBlock(16, 2, 2.66, squeeze=4))
    assert block.ffn.project_out.in_channels == 42  # int(16 * 2.66)
    both = block.ffn.dwconv(block.ffn.project_in(x))
    gated = F.gelu(both[:, :42]) * both[:, 42:]
    assert torch.equal(block.ffn(x), block.ffn.project_out(gated))
    inner = block.norm1(block.compress(x))
    middle = x + block.expand(block.attn(inner))
    expected = middle + block.ffn(block.norm2(middle))
    assert torch.equal(block(x), expected)
    plain = GatedFeedForward(10, 2)
    assert plain.project_in.out_channels == 40


def test_only_squeezed_blocks_weigh_channels():
    names = {n for n, _ in TransformerBlock(8, 1, 2, 1).named_parameters()}
    more = {n for n, _ in TransformerBlock(8, 1, 2, 4).named_parameters()}
    assert more - names == {
        'attn.linear1.weight',
        'attn.linear2.weight',
        'compress.weight',
        'expand.weight',
    }


@pytest.mark.parametrize('window', [1, 3, 5, 8])
def test_does_not_depend_on_the_chunk(window: int):
    lq = clip()
    before = lq.clone()
    out = model(window=window).restore(lq)
    assert torch.equal(out, model().restore(lq))
    assert torch.equal(lq, before)
    assert out.shape == (5, 3, 64, 80)


def test_remembers_within_a_clip_only():
    made = model()
    first = made.restore(clip())
    assert torch.equal(made.restore(clip()), first)
    late = made.restore(clip()[3:])
    assert torch.equal(made.restore(clip()[:1]), first[:1])
    assert (late.int() - first[3:].int()).abs().max() > 0


def test_a_frame_knows_no_later_one():
    changed = clip()
    changed[3:] = 255 - changed[3:]
    ours, theirs = model().restore(clip()), model().restore(changed)
    assert torch.equal(ours[:3], theirs[:3])
    assert not torch.equal(ours[3:], theirs[3:])


def test_each_tile_has_its_own_memory():
    """A tile's result is that of its part of the clip restored alone."""
    lq = clip(3, 16, 48)
    made = model(window=2, tile=16, tile_overlap=0)
    out = made.restore(lq)
    for left in (0, 16, 32):
        alone = model().restore(lq[..., left : left + 16].contiguous())
        assert torch.equal(out[..., 4 * left : 4 * left + 64], alone)


def test_pads_at_the_bottom_and_on_the_right():
    lq = clip(2, 14, 19)
    padded = F.pad(lq.float(), (0, 1, 0, 2), 'reflect').to(torch.uint8)
    expected = model().restore(padded)[..., :56, :76]
    assert torch.equal(model().restore(lq), expected)


def test_half_precision():
    lq = clip(2)
    expected = model().restore(lq).float()
    made = model()
    made.network.bfloat16()
    error = (made.restore(lq).float() - expected).abs()
    assert error.mean() < 2 and error.max() < 40  # of 255


def official(path, drop: tuple[str, ...] = ()) -> dict[str, dict]:
    """Write a file like the authors'."""
    kinds = {}
    for i, kind in enumerate(('params', 'params_ema')):
        state = model().network.state_dict()
        state['conv_last.bias'] = torch.full((3,), float(i))
        state['attn_merge.attn.masktemp'] = torch.ones(2, 1, 1)
        if kind not in drop:
            kinds[kind] = state
    torch.save(kinds, path)
    return kinds


@pytest.mark.parametrize('ema', [False, True])
def test_loads_the_asked_of_the_authors_weights(tmp_path, ema: bool):
    kinds = official(tmp_path / 'weights.pth')
    made = model(ema=ema)
    made.load_weights(tmp_path / 'weights.pth')
    expected = kinds['params_ema' if ema else 'params']
    for name, tensor in made.network.state_dict().items():
        assert torch.equal(tensor, expected[name])
    assert made.network.conv_last.bias.tolist() == [float(ema)] * 3


def test_refuses_a_file_without_the_asked_weights(tmp_path):
    path = tmp_path / 'weights.pth'
    official(path, drop=('params_ema',))
    with pytest.raises(ValueError, match=r'weights\.pth') as caught:
        model(ema=True).load_weights(path)
    assert '\n' not in str(caught.value)


def test_refuses_weights_of_another_size(tmp_path):
    path = tmp_path / 'weights.pth'
    official(path)
    with pytest.raises(ValueError, match=r'does not fit RealViformer'):
        RealViformer().load_weights(path)


def test_no_weights_no_result():
    with pytest.raises(ValueError, match='RealViformer has no weights'):
        RealViformer().restore(clip())


def test_options():
    made = model(tile=16, tile_overlap=8)
    assert made.restore_options == RestoreOptions(
        scale=4, window=1, overlap=0, tile=64, tile_overlap=32
    )
    with pytest.raises(ValueError, match='`scale` must be 4'):
        made.restore(clip(), RestoreOptions(scale=2))
