"""Upscale-A-Video end to end: tiny networks, and parts with known results."""

import json
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from star.apis.inference.build import build_model, load_config, take_random
from star.models.editors import UpscaleAVideo
from star.models.editors.upscale_a_video import upscale_a_video as module
from star.models.editors.upscale_a_video.sampling import (
    SCHEDULER,
    signal_shares,
)
from star.models.restoration.choose import choose_options
from star.models.restoration.options import RestoreOptions
from tests.test_models.fakes import Listener, random_clip

QUICK = {'steps': 1, 'guidance_scale': 1}
EMPTY = dict(type='ConstantTextEncoder', dim=1)  # takes a part's place


class CopyingDenoiser(nn.Module):
    """Knows x0: the low-quality clip, and nothing in the fourth channel."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.signals = signal_shares()
        self.calls: list[Tensor] = []

    def forward(self, x: Tensor, t: Tensor, text: Tensor, label: Tensor):
        self.calls.append(x)
        signal = self.signals[int(t)]
        x_t, lq = x[:, :4], x[:, 4:]
        x0 = torch.cat([lq, torch.zeros_like(lq[:, :1])], 1)
        return (math.sqrt(signal) * x_t - x0) / math.sqrt(1 - signal)


class TimelyDenoiser(CopyingDenoiser):
    """Sees the place of a frame in its window."""

    def forward(self, x: Tensor, t: Tensor, text: Tensor, label: Tensor):
        place = torch.arange(x.shape[2]).view(-1, 1, 1)
        return super().forward(x, t, text, label) + 0.3 * place


class BlockDecoder(nn.Module):
    """Makes four by four pixels of each latent."""

    def decode(self, z: Tensor, lq: Tensor) -> Tensor:
        z = z[:, :3].repeat_interleave(4, -1)
        return z.repeat_interleave(4, -2)


class Texts(nn.Module):
    """Remembers the texts that it encodes."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def forward(self, prompts: list[str]) -> Tensor:
        self.seen += prompts
        return torch.zeros(len(prompts), 2, 16)

    def count_overflow(self, prompt: str) -> int:
        return max(0, len(prompt) - 60)


def build(**changes) -> UpscaleAVideo:
    """Build the method without networks."""
    parts = dict(unet=EMPTY, vae=EMPTY, text_encoder=EMPTY, weights=(None,))
    return UpscaleAVideo(**{**parts, **changes}).eval()


def known(**changes) -> UpscaleAVideo:
    """Build a model whose result is its input, each pixel four by four."""
    options = {**QUICK, 'steps': 3, **changes.pop('restore_options', {})}
    model = build(noise_level=0, restore_options=options, **changes)
    model.unet, model.vae = CopyingDenoiser(), BlockDecoder()
    model.text_encoder = Texts()
    # nothing keeps a rest of noise
    model.scheduler = {**SCHEDULER, 'set_alpha_to_one': True}
    model.lq_scheduler = {**SCHEDULER, 'beta_start': 0.0}
    model.loaded = True
    return model


def clip(frames: int, height: int = 7, width: int = 9) -> Tensor:
    return random_clip(frames, height, width, seed=frames)


def blocks(x: Tensor) -> Tensor:
    return x.repeat_interleave(4, -1).repeat_interleave(4, -2)


@pytest.fixture(scope='module')
def tiny() -> UpscaleAVideo:
    model = build_model(load_config('tiny_upscale_a_video')).eval()
    take_random(model)
    return model


@pytest.mark.parametrize('frames', [1, 5, 7, 23])
def test_restores_clips_of_any_length(tiny: UpscaleAVideo, frames: int):
    options = choose_options(tiny, QUICK)
    out = tiny.restore(clip(frames), options)
    assert out.shape == (frames, 3, 28, 36) and out.dtype == torch.uint8
    assert out.float().std() > 10
    if frames == 5:  # the same seed gives the same bytes
        assert torch.equal(out, tiny.restore(clip(frames), options))
        other = replace(options, seed=options.seed + 1)
        assert not torch.equal(out, tiny.restore(clip(frames), other))


@pytest.mark.parametrize('frames', [1, 7, 23])
def test_parts_that_know_the_input_return_it(frames: int):
    model = known(segment=2)
    lq = clip(frames)
    assert torch.equal(model.restore(lq), blocks(lq))


@pytest.mark.parametrize('compat', ['none', 'official'])
@pytest.mark.parametrize('tile', [48, (48, 64)])
def test_tiles_return_what_they_know(compat: str, tile):
    options = dict(tile=tile, tile_overlap=16, compat=compat)
    model = known(restore_options=options)
    lq = clip(3, 31, 45)
    assert torch.equal(model.restore(lq), blocks(lq))
    shapes = {x.shape[-2:] for x in model.unet.calls}
    assert len(model.unet.calls) > 3 and (31, 45) not in shapes


def test_small_frames_need_no_tiles():
    model = known(restore_options=dict(tile=48, tile_overlap=16))
    model.restore(clip(2, 11, 13))
    assert len(model.unet.calls) == 3  # steps


def first_noise(model: UpscaleAVideo, lq: Tensor, **options) -> list[Tensor]:
    """Return the noise of the latents of each tile at the first step."""
    model.unet.calls.clear()
    chosen = choose_options(model, {'steps': 1, **options})
    model.restore(lq, chosen)
    return [x[0, :4] for x in model.unet.calls]


def test_noise_belongs_to_frames():
    model, lq = known(), clip(12)
    first, second = first_noise(model, lq)  # frames 0-7 and 4-11
    assert torch.equal(first[:, 4:], second[:, :4])
    assert not torch.equal(first[:, 0], first[:, 1])
    shared = known(noise='shared')
    (same, _) = first_noise(shared, lq)
    assert torch.equal(same, same[:, :1].expand_as(same))
    assert torch.equal(same[:, 0], first[:, 0])


def test_tiles_share_the_noise_of_their_pixels():
    lq, tiles = clip(2, 9, 16), dict(tile=48, tile_overlap=16)
    model = known()
    left, right = first_noise(model, lq, **tiles)
    assert left.shape[-2:] == right.shape[-2:] == (9, 10)
    both = slice(6, 10), slice(0, 4)
    assert torch.equal(left[..., both[0]], right[..., both[1]])
    left, right = first_noise(model, lq, compat='official', **tiles)
    assert not torch.equal(left[..., both[0]], right[..., both[1]])
    assert not torch.equal(left, right)  # each has noise of its own


def test_official_tiles_are_pasted():
    lq, tiles = clip(1, 9, 16), dict(tile=48, tile_overlap=16)
    model, shades = known(), iter([-1.0, 1.0] * 2)
    model.vae.decode = lambda z, lq: blocks(z[:, :3] * 0 + next(shades))
    kinds = [
        model.restore(lq, choose_options(model, {**tiles, 'compat': compat}))
        for compat in ('official', 'none')
    ]
    assert kinds[0].unique().tolist() == [0, 255]
    assert len(kinds[1].unique()) > 4


def test_segments_share_windows():
    model = build(segment=3)
    options = model.restore_options
    assert (options.window, options.overlap) == (8, 2)
    size, overlap = model.segment_of(options)
    assert (size, overlap) == (20, 8)
    assert (size - overlap) % (options.window - options.overlap) == 0
    whole = model.segment_of(replace(options, compat='official'))
    assert whole == (2**31, 0)


def test_a_clip_of_one_segment_is_restored_as_by_the_official_code():
    model = known(segment=2, restore_options={'prompt_suffix': ''})
    model.unet = TimelyDenoiser()
    options = model.restore_options
    official = replace(options, compat='official')
    for frames, equal in ((14, True), (17, False)):
        lq = clip(frames)
        expected = model.restore(lq, official)
        same = torch.equal(model.restore(lq, options), expected)
        assert same is equal


def test_frames_are_not_read_far_ahead():
    model, read = known(segment=2), []

    def frames():
        for i, frame in enumerate(clip(60)):
            read.append(i)
            yield frame

    ahead = []
    done = 0
    for piece in model.restore_stream(frames()):
        done += len(piece)
        ahead.append(len(read) - done)
    assert done == 60 and max(ahead) <= 9


def test_texts():
    model, events = known(), Listener()
    options = choose_options(model, {'prompt': 'a cat', 'steps': 1})
    model.restore(clip(1), options, events)
    assert model.text_encoder.seen == [
        'a cat, best quality, extremely detailed'
    ]
    official = replace(options, compat='official', guidance_scale=6.0)
    model.restore(clip(1), official, events)
    assert model.text_encoder.seen[1:] == [
        'a catbest quality, extremely detailed',
        'blur, worst quality',
    ]
    assert events.notes == []
    long = replace(options, prompt='a cat and ' * 6)
    model.restore(clip(1), long, events)
    (note,) = events.notes
    assert note.startswith('33 tokens too many in: a cat and')


def test_guidance_leads_away_from_the_negative_prompt():
    model = known()

    def unet(x: Tensor, t: Tensor, text: Tensor, label: Tensor) -> Tensor:
        assert (t.tolist(), label.tolist()) == ([501], [0])
        return torch.full_like(x[:, :4], float(text.mean()))

    model.unet.forward = unet
    texts = torch.stack([torch.full((2, 16), 1.0), torch.full((2, 16), 0.5)])
    for scale, expected in ((6.0, 3.5), (1.0, 1.0)):
        given = texts if scale > 1 else texts[:1]
        found = model._predict(torch.zeros(1, 7, 2, 3, 3), 501, given, scale)
        assert torch.equal(found, torch.full((1, 4, 2, 3, 3), expected))


class Standstill(nn.Module):
    """Finds no motion anywhere."""

    def both_ways(self, x: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
        assert iterations == 20 and x.abs().max() <= 1
        flow = x.new_zeros(len(x) - 1, 2, *x.shape[-2:])
        return flow, flow


def test_propagation(monkeypatch):
    """Where nothing moves, the frames come nearer to one another."""
    options = {'tile': 32, 'tile_overlap': 8}
    model = known(propagation_steps=(2,), restore_options=options)
    model.raft, made = Standstill(), module.Propagation

    def checked(forward: Tensor, backward: Tensor, size: tuple):
        assert forward.shape[-2:] == backward.shape[-2:] == size  # a tile's
        return made(forward, backward, size)

    monkeypatch.setattr(module, 'Propagation', checked)
    lq = clip(4, 9, 10)
    out = model.restore(lq).float()
    spread = out.std(0).mean() / blocks(lq).float().std(0).mean()
    assert 0.2 < spread < 0.8
    assert torch.equal(model.restore(lq[:1]), blocks(lq[:1]))
    with pytest.raises(ValueError, match='`steps` must be more than 2, a st'):
        choose_options(model, {'steps': 2})


def test_the_official_code_shrinks_large_frames(monkeypatch):
    monkeypatch.setattr(module, '_LARGE', 12)
    lq = clip(1, 13, 15) // 4 + 100
    model = known(restore_options={'tile': 0})
    assert torch.equal(model.restore(lq), blocks(lq))
    options = choose_options(model, {'compat': 'official'})
    out = model.restore(lq, options)
    assert out.shape == (1, 3, 52, 60)
    assert model.unet.calls[-1].shape[-2:] == (3, 3)


def test_colours_come_from_the_input():
    model = known()
    model.vae.decode = lambda z, lq: torch.zeros_like(blocks(z[:, :3])) + 0.5
    lq = clip(2)
    mean = lq.float().mean((2, 3))
    options = choose_options(model, {'color_fix': 'adain'})
    found = model.restore(lq, options).float().mean((2, 3))
    assert (found - mean).abs().max() < 3
    found = model.restore(lq).float().mean((2, 3))
    assert (found - mean).abs().max() > 10


def test_progress_counts_tiles_and_steps():
    model, events = known(), Listener()
    options = choose_options(model, {'tile': 32, 'tile_overlap': 8})
    model.restore(clip(6, 8, 12), options, events)
    told = [done for stage, done, _ in events.told if stage == 'denoise']
    assert told == sorted(told) and told[-1] == 6
    assert len(told) == 4 * 3  # tiles, steps


def test_recipe():
    model = build()
    options = model.restore_options
    assert (options.steps, options.guidance_scale, options.seed) == (30, 6, 10)
    assert (options.tile, options.tile_overlap) == (1536, 512)
    assert options.color_fix == 'none' and options.prompt == ''
    described = model.describe_options(options)
    assert described['noise_level'] == 120
    assert json.loads(json.dumps(described))['propagation_steps'] == []


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'noise_level': 350}, r'`noise_level` must lie in \[0, 349\], got'),
        ({'segment': 1}, '`segment` must be at least 2, got 1'),
        ({'propagation_steps': (-1,)}, '`propagation_steps` must be at least'),
        ({'propagation_steps': (30,)}, '`steps` must be more than 30'),
        ({'noise': 'blue'}, '`noise` must be one of'),
    ],
)
def test_refuses_wrong_values(changes: dict, message: str):
    with pytest.raises(ValueError, match=message):
        build(**changes)


def test_refuses_wrong_options():
    model = build()
    with pytest.raises(ValueError, match=r'`steps` must lie in \[1, 999\]'):
        choose_options(model, {'steps': 1000})
    with pytest.raises(ValueError, match='`blend` means nothing'):
        choose_options(model, {'blend': 'cut'})
    assert isinstance(choose_options(model, {'prompt': 'a'}), RestoreOptions)
