"""SwiftVR's default mode: every frame and pixel, tiles, going on, files."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from skimage.registration import phase_cross_correlation
from torch import Tensor
from torch.nn import functional as F

from star.apis.inference.build import build_model, load_config, take_random
from star.models.editors.swiftvr.chunks import next_chunk
from star.models.editors.swiftvr.clip_run import ClipRun
from star.models.editors.swiftvr.reae import DoubleFrames, ReAE
from star.models.editors.swiftvr.swiftvr import SwiftVR
from star.models.restoration.events import EventRelay
from star.models.restoration.resuming import Piece
from star.utils.paths import config_root
from tests.test_models.fakes import random_clip

CONFIG = config_root() / 'swiftvr' / 'tiny_swiftvr.py'


@lru_cache(maxsize=1)
def model() -> SwiftVR:
    """Build the tiny model with random weights."""
    built = build_model(load_config(CONFIG)).eval()
    take_random(built)
    return built


class Identity(torch.nn.Module):
    """Codes four frames as channels of a latent, and back, with the lag."""

    def encode(self, frames, memory):
        z = F.pixel_unshuffle(frames, 16)
        # a frame comes back three frames later, as from the real one
        held = torch.zeros_like(z[:3]) if memory is None else memory[0]
        late = torch.cat([held, z])
        return late[: len(z)].reshape(-1, 4 * z.shape[1], *z.shape[2:]), [
            late[len(z) :]
        ]

    def decode(self, z, memory):
        frames = z.reshape(-1, z.shape[1] // 4, *z.shape[2:])
        return F.pixel_shuffle(frames, 16), []


class NoVelocity(torch.nn.Module):
    def forward(self, hidden_states, **given):
        return (torch.zeros_like(hidden_states),)


def identity() -> SwiftVR:
    """Replace the networks by some that change nothing."""
    built = build_model(load_config(CONFIG)).eval()
    built.autoencoder, built.transformer = Identity(), NoVelocity()
    built.loaded = True
    return built


def clip(frames: int, height: int = 9, width: int = 11) -> Tensor:
    return random_clip(frames, height, width, seed=1)


def enlarged(lq: Tensor, scale: float = 4) -> Tensor:
    size = [round(side * scale) for side in lq.shape[-2:]]
    found = F.interpolate(lq.float(), size, mode='bilinear')
    return found.round().to(torch.uint8)


@pytest.mark.parametrize('count', [1, 2, 5, 8, 9, 10, 12, 13, 23, 24, 33, 100])
def test_keeps_every_frame(count: int):
    """Each at its time: with networks that change nothing, the input."""
    lq = clip(count, 3, 5)
    assert torch.equal(identity().restore(lq), enlarged(lq))


def test_nothing_moves_in_space():
    coarse = clip(1, 6, 7).float()
    lq = F.interpolate(coarse, (27, 35), mode='bicubic')
    lq = lq.clamp(0, 255).to(torch.uint8)
    out = identity().restore(lq)
    bicubic = F.interpolate(lq.float(), scale_factor=4, mode='bicubic')
    shift, _, _ = phase_cross_correlation(
        bicubic[0, 0].numpy(), out[0, 0].numpy(), upsample_factor=100
    )
    assert abs(shift).max() < 0.1


def test_a_window_by_itself_is_a_clip():
    lq = clip(5)
    assert torch.equal(model().enlarge(lq, (36, 44)), model().restore(lq))


@pytest.mark.parametrize('size', [(1, 1), (9, 11), (33, 8), (16, 40)])
@pytest.mark.parametrize('scale', [1, 2.5, 4])
def test_keeps_every_pixel(size: tuple[int, int], scale: float):
    lq, plain = clip(2, *size), identity()
    out = plain.restore(lq, replace(plain.restore_options, scale=scale))
    assert (out.int() - enlarged(lq, scale).int()).abs().max() <= 1


@pytest.mark.parametrize('frames', [1, 9, 10, 13, 22])
def test_real_networks_keep_the_count(frames: int):
    out = model().restore(clip(frames))
    assert out.shape == (frames, 3, 36, 44) and out.dtype == torch.uint8


def test_tiles_of_an_identity_are_the_frames():
    lq, plain = clip(14, 40, 30), identity()
    options = replace(plain.restore_options, tile=96, tile_overlap=32)
    out = plain.restore(lq, options)
    assert (out.int() - enlarged(lq).int()).abs().max() <= 1


def test_a_chunk_needs_no_more_than_its_own_frames():
    """What comes first is there once the first chunk was read."""
    lq, seen = clip(40), []

    def read():
        for i, frame in enumerate(lq):
            seen.append(i)
            yield frame

    first = next(iter(model().restore_stream(read())))
    assert len(seen) == 12 and len(first) == 9
    assert torch.equal(first, model().restore(lq[:22])[:9])


@pytest.mark.parametrize(('count', 'tile'), [(50, 0), (44, 64)])
def test_goes_on_where_it_stopped(count: int, tile: int):
    """Each tile with its own memory."""
    lq = clip(count, 4, 20)
    options = replace(model().restore_options, tile=tile, tile_overlap=32)
    pieces: list[Piece] = []
    points = []
    for piece in model().restore_pieces(iter(lq), options):
        pieces.append(piece)
        points.append(piece.point() if piece.point else None)
    whole = torch.cat([piece.frames for piece in pieces])
    assert len(whole) == count and points[-1] is None
    for point in (points[0], points[-2]):
        assert point.frame <= point.done
        left = iter(lq[point.frame :])
        rest = model().restore_pieces(left, options, point=point)
        out = torch.cat([piece.frames for piece in rest])
        assert torch.equal(out, whole[point.done :])
    assert points[-2].frame > 0  # not from the beginning of the clip


def test_goes_on_where_only_copies_are_left():
    """The first chunk took all frames, and the last one has none."""
    lq = clip(10)
    first = next(iter(model().restore_pieces(iter(lq))))
    point = first.point()
    rest = model().restore_pieces(iter(lq[point.frame :]), point=point)
    out = torch.cat([first.frames, *(piece.frames for piece in rest)])
    assert torch.equal(out, model().restore(lq))


def test_depth_is_kept():
    lq, plain = clip(5).to(torch.uint16) * 257, identity()
    out = plain.restore(lq)
    assert out.dtype == torch.uint16
    wanted = F.interpolate(lq.float(), (36, 44), mode='bilinear')
    assert (out.float() - wanted).abs().max() <= 1


def test_colours_come_from_the_frame_itself():
    lq = clip(13) // 2
    lq[6:] += 100  # a wrong frame's colours would be far off
    options = replace(model().restore_options, color_fix='adain')
    out = model().restore(lq, options).float()
    means = enlarged(lq).float().mean((2, 3))
    assert (out.mean((2, 3)) - means).abs().max() < 6
    plain = model().restore(lq).float()
    assert (plain.mean((2, 3)) - means).abs().max() > 6


def test_memory_of_a_long_clip_is_that_of_a_short_one():
    """No more than a chunk and its lag is kept, however long the clip."""
    lq, built = clip(100, 3, 5), model()
    run = ClipRun(
        built.networks(), lq[0], built.restore_options, built.chunking
    )
    with torch.inference_mode():
        for piece in run.pieces(iter(lq), EventRelay(), None):
            assert len(piece.frames) <= 9 and len(run.waiting) <= 3
            (state,) = run.states
            assert len(state.lq) <= 2 and len(state.x0) <= 8
            assert all(len(kept) == 1 for kept in state.encoder)
    assert run.done == 100


def test_doubled_frames_are_a_convolution_of_pairs():
    layer, x = DoubleFrames(5), torch.randn(3, 5, 4, 6)
    pairs = x[:, None].expand(-1, 2, -1, -1, -1).transpose(1, 2)
    wanted = F.conv3d(pairs, layer.conv3d.weight, padding=(1, 0, 0))
    wanted = wanted.transpose(1, 2).flatten(0, 1)
    assert torch.allclose(layer(x), wanted, atol=1e-6)


def test_codes_go_on_at_any_group():
    network, x = ReAE(8, (16, 8, 8)), torch.rand(16, 3, 32, 48)
    whole, _ = network.encode(x, None)
    memory, found = None, []
    for group in x.split([4, 8, 4]):
        z, memory = network.encode(group, memory)
        found.append(z)
    assert torch.allclose(torch.cat(found), whole, atol=1e-5)


@pytest.mark.parametrize('found', range(40))
def test_chunks_cover_a_clip(found: int):
    """Latents of a chunk stand for its frames, and 4 k + 1 in all."""
    chunk = next_chunk(min(found, 28), 24, first=True)
    if found:
        assert chunk.last == (found < 26)
    if chunk.last and found:
        assert 4 * chunk.groups - 3 in range(found, found + 4)


@pytest.mark.parametrize(
    ('wrong', 'told'),
    [
        ({'clip_len': 10}, '`clip_len` must be a multiple of 4'),
        ({'context': 3}, '`context` must be at least 0 and at most 2'),
        ({'window_size': (0, 4)}, '`window_size` must be at least 1'),
    ],
)
def test_refuses_wrong_values(wrong: dict, told: str):
    settings = load_config(CONFIG)
    settings.model.update(wrong)
    with pytest.raises(ValueError, match=told):
        build_model(settings)


def test_refuses_small_tiles():
    with pytest.raises(ValueError, match='`tile` must be 0 or at least 160'):
        model().restore(clip(1), replace(model().restore_options, tile=150))


def write_files(folder: Path, prompt: str = 'prompt_emb') -> list[Path]:
    """Write the three files of the authors, of the tiny sizes."""
    states = [
        dict(model().get_submodule(p).state_dict()) for p in model().parts
    ]
    states[2] = {prompt: states[2]['embedding'][None]}
    paths = [folder / f'{i}.safetensors' for i in range(3)]
    for state, path in zip(states, paths, strict=True):
        save_file({k: v.contiguous() for k, v in state.items()}, path)
    return paths


def test_files_of_the_authors(tmp_path: Path):
    paths = write_files(tmp_path)
    other = build_model(load_config(CONFIG)).eval()
    other.load_weights(*paths)
    assert torch.equal(other.restore(clip(5)), model().restore(clip(5)))


def test_wrong_files(tmp_path: Path):
    other = build_model(load_config(CONFIG))
    first, second, third = write_files(tmp_path, 'embedding')
    with pytest.raises(ValueError, match='three files'):
        other.load_weights(first, second)
    with pytest.raises(ValueError, match=r'2\.safetensors has no embedding'):
        other.load_weights(first, second, third)
    write_files(tmp_path)
    with pytest.raises(ValueError, match=r'1\.safetensors does not fit'):
        other.load_weights(second, first, third)
