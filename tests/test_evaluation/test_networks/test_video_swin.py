"""Video Swin: windows against attention that knows no windows."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from star.evaluation.networks.video_swin import (
    VideoSwin,
    make_windows,
    position_index,
)

# tokens, and what they are padded to; windows are (8, 7, 7)
SIZES = [((5, 10, 14), (5, 14, 14)), ((12, 7, 7), (16, 7, 7))]


def tiny(fragments: bool) -> VideoSwin:
    """One stage of two blocks, the second with shifted windows."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = VideoSwin(8, (2,), (2,), (fragments,))
        for name, parameter in network.named_parameters():
            if 'bias' in name:
                nn.init.normal_(parameter, std=0.5)
    return network.requires_grad_(False).double().eval()


def place(size: tuple[int, ...]) -> np.ndarray:
    """List the coordinates of all tokens, (T, 3)."""
    return np.stack(np.unravel_index(np.arange(np.prod(size)), size), -1)


def dense_bias(attn: nn.Module, size: tuple[int, ...], shifted: bool):
    """Compute the bias of each pair of all tokens, (heads, T, T).

    By the places that tokens have in the clip: which window they are in
    after rolling, how far they are apart, and how many fragments.
    """
    full = np.minimum([8, 7, 7], size)
    whole = np.array(size)
    shift = np.where(shifted & (whole > full), [4, 3, 3], 0)
    old = place(size)
    new = (old - shift) % whole  # where rolling puts them
    window = new // full
    wrapped = new >= whole - shift  # came from the other end
    apart = ((window[:, None] != window) | (wrapped[:, None] != wrapped)).any(
        -1
    )
    other_window = (window[:, None] != window).any(-1)
    step = new[:, None] - new + [7, 6, 6]
    index = np.where(
        other_window, 0, (step[..., 0] * 13 + step[..., 1]) * 13 + step[..., 2]
    )
    bias = attn.relative_position_bias_table.numpy()[index]
    if attn.fragment_position_bias_table is not None:
        second = attn.fragment_position_bias_table.numpy()[index]
        fragment = old[:, 1:] * 7 // whole[1:]
        crossed = np.abs(fragment[:, None] - fragment).sum(-1)[..., None]
        bias = crossed * bias + (1 - crossed) * second
    bias = bias.transpose(2, 0, 1)
    bias = bias - 100.0 * (apart & ~other_window)
    return torch.from_numpy(np.where(other_window, -np.inf, bias))


def dense_attention(
    block: nn.Module, x: Tensor, size: tuple[int, ...], shifted: bool
) -> Tensor:
    """Attend from each token to all; `x` is (N, T, H, W, C)."""
    attn, shape = block.attn, x.shape
    t, h, w = (a - b for a, b in zip(size, shape[1:4], strict=True))
    x = nn.functional.pad(x, (0, 0, 0, w, 0, h, 0, t))
    n, c = x.shape[0], x.shape[-1]
    q, k, v = (
        y.reshape(n, -1, 2, c // 2).transpose(1, 2)
        for y in attn.qkv(x.flatten(1, 3)).chunk(3, -1)
    )
    logits = q @ k.transpose(-1, -2) / (c // 2) ** 0.5
    logits = logits + dense_bias(attn, size, shifted)
    out = (logits.softmax(-1) @ v).transpose(1, 2).reshape(n, *size, c)
    return attn.proj(out)[:, : shape[1], : shape[2], : shape[3]]


@pytest.mark.parametrize('fragments', [True, False])
@pytest.mark.parametrize(('size', 'padded'), SIZES)
def test_blocks_against_dense_attention(
    size: tuple[int, ...], padded: tuple[int, ...], fragments: bool
):
    network = tiny(fragments)
    generator = torch.Generator().manual_seed(1)
    shape = (2, 3, *(a * b for a, b in zip(size, (2, 4, 4), strict=True)))
    clip = torch.randn(shape, generator=generator, dtype=torch.float64)
    x = network.patch_embed(clip)
    assert x.shape == (2, *size, 8)
    expected = x
    for i, block in enumerate(network.layers[0].blocks):
        normal = block.norm1(expected)
        expected = expected + dense_attention(block, normal, padded, i == 1)
        hidden = block.mlp.fc1(block.norm2(expected))
        hidden = hidden * (1 + torch.erf(hidden / 2**0.5)) / 2
        expected = expected + block.mlp.fc2(hidden)
    expected = network.norm(expected).permute(0, 4, 1, 2, 3)
    torch.testing.assert_close(network(clip), expected, rtol=0, atol=1e-9)


def test_position_index():
    index = position_index()
    tokens = place((8, 7, 7))
    assert index.shape == (392, 392)
    assert index.min() == 0
    assert index.max() == 15 * 13 * 13 - 1
    for i, j in ((0, 0), (0, 391), (391, 0), (57, 300), (200, 13)):
        t, h, w = tokens[i] - tokens[j] + (7, 6, 6)
        assert index[i, j] == t * 169 + h * 13 + w


def test_no_shift_where_one_window_covers_all():
    windows = make_windows((16, 7, 14), shifted=True)
    assert windows.size == (8, 7, 7)
    assert windows.shift == (4, 0, 3)
    small = make_windows((8, 5, 7), shifted=True)
    assert small.size == (8, 5, 7)
    assert small.shift == (0, 0, 0)
    assert small.regions is None


def test_fragments_of_the_first_stage():
    """56 tokens a side, 7 fragments: 8 tokens each, windows of 7."""
    windows = make_windows((16, 56, 56), shifted=False)
    assert windows.rows.shape == (64, 392)
    rows = windows.rows.view(8, 8, 8, 7, 7)  # windows down, right; tokens
    columns = windows.columns.view(8, 8, 8, 7, 7)
    for i in range(8):
        expected = torch.arange(7 * i, 7 * i + 7) // 8
        assert (rows[i] == expected[:, None]).all()
        assert (columns[:, i] == expected).all()


def test_halving_takes_four_neighbours_in_order():
    with torch.random.fork_rng():
        network = VideoSwin(4, (1, 1), (1, 1), (True, False))
    merge = network.layers[0].downsample.requires_grad_(False)
    merge.norm = nn.Identity()
    merge.reduction.weight.copy_(torch.eye(16)[[0, 4, 8, 12, 3, 7, 11, 15]])
    x = torch.arange(2 * 3 * 4, dtype=torch.float32).view(1, 2, 3, 4, 1)
    found = merge(x.expand(1, 2, 3, 4, 4))
    assert found.shape == (1, 2, 2, 2, 8)
    expected = [0, 4, 1, 5]  # upper left, lower left, upper right ...
    assert found[0, 0, 0, 0].tolist() == expected * 2
    assert found[0, 1, 1, 1].tolist() == [22, 0, 23, 0] * 2  # padded
