"""MGLD-VSR end to end, with tiny networks and random weights."""

import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from star.apis.inference.build import build_model, load_config, take_random
from star.models.editors import MGLDVSR, latent_diffusion_files
from star.models.editors.mgld_vsr import mgld_vsr
from star.models.restoration.noise import FrameNoise
from tests.test_reference.vectors import read_shapes


class Shift(nn.Module):
    """Stands for the flow network, which takes seconds."""

    def both_ways(
        self, clip: Tensor, iterations: int
    ) -> tuple[Tensor, Tensor]:
        flow = clip[1:, :2] * 3
        return flow, -flow


def make(**changes: Any) -> MGLDVSR:
    settings = load_config('tiny_mgld_vsr')
    options = dict(steps=2, tile=64, tile_overlap=16)  # tiles of a 7 x 7 clip
    small = dict(latent_tile=(4, 2), restore_options=options)
    settings.model.update({**small, **changes})
    with torch.device('cpu'):
        model: Any = build_model(settings).eval()
    take_random(model)
    return model


@cache
def tiny() -> MGLDVSR:
    return make()


def guided(monkeypatch: pytest.MonkeyPatch, kind: str) -> MGLDVSR:
    """Give the tiny model guidance, but no flow network."""
    return guide_by(monkeypatch, tiny(), kind)


def guide_by(
    monkeypatch: pytest.MonkeyPatch, model: MGLDVSR, kind: str
) -> MGLDVSR:
    monkeypatch.setattr(model, 'motion_guidance', kind)
    monkeypatch.setitem(model._modules, 'flow', Shift())
    return model


def clip(frames: int, height: int = 7, width: int = 7) -> Tensor:
    generator = torch.Generator().manual_seed(frames)
    coarse = torch.rand(frames, 3, 3, 4, generator=generator) * 255
    smooth = nn.functional.interpolate(coarse, size=(height, width))
    return smooth.to(torch.uint8)


@pytest.mark.parametrize(
    ('frames', 'size'), [(1, (3, 5)), (5, (5, 5)), (7, (9, 7)), (23, (7, 7))]
)
def test_every_clip_has_its_size(frames: int, size: tuple[int, int]):
    lq = clip(frames, *size)
    out = tiny().restore(lq)
    assert out.shape == (frames, 3, 4 * size[0], 4 * size[1])


def test_a_short_segment_is_filled_with_its_last_frame():
    lq = clip(3)
    filled = torch.cat([lq, lq[-1:], lq[-1:]])
    assert torch.equal(tiny().restore(lq), tiny().restore(filled)[:3])


def test_segments_are_restored_by_themselves():
    """With the same noise: as published, a seed for each segment."""
    lq = clip(5)
    out = tiny().restore(torch.cat([lq, lq]))
    assert torch.equal(out[:5], out[5:])


def test_noise():
    lq = clip(1).expand(5, -1, -1, -1)
    options = replace(tiny().restore_options, color_fix='none')
    apart = tiny().restore(lq, options)
    assert torch.equal(apart, tiny().restore(lq, options))
    other = tiny().restore(lq, replace(options, seed=1))
    assert not torch.equal(apart, other)
    shared = tiny().restore(lq, replace(options, noise='shared'))

    def spread(x: Tensor) -> float:
        """Compare frames whose inputs are equal, far from the ends."""
        return float((x[2].float() - x[1].float()).abs().mean())

    assert spread(shared) < 0.5 * spread(apart)
    assert make(noise='shared').restore_options.noise == 'shared'


@pytest.mark.parametrize('compat', ['none', 'official'])
def test_tiles_with_an_identity_return_the_frames(monkeypatch, compat: str):
    """A denoiser that knows the noise, and an autoencoder without loss."""
    model = tiny()
    seen: list[Tensor] = []

    def denoise(part: Any, text: Tensor, steps: int, report: Any) -> Tensor:
        seen.append(part.frames)
        return part.frames

    monkeypatch.setattr(model, '_denoise', denoise)
    monkeypatch.setattr(model, '_features', lambda x: ())
    monkeypatch.setattr(
        model.video_autoencoder, 'decode', lambda z, features, weight: z
    )
    lq = clip(5, 30, 41)
    options = replace(model.restore_options, compat=compat, tile_overlap=20)
    out = model.restore(lq, options)
    assert len(seen) > 4
    expected = nn.functional.interpolate(
        lq.float(), scale_factor=4, mode='bicubic'
    ).clamp(0, 255)
    assert (out - expected).abs().max() <= 1.01


def test_tiles_and_segments_get_the_same_noise(monkeypatch):
    """Tiles take their part of the frame's; officially all get one."""
    model, drawn = tiny(), {}
    monkeypatch.setattr(model, '_predict', lambda z, lq, t, text: z)
    monkeypatch.setattr(
        model.video_autoencoder,
        'decode',
        lambda z, features, weight: z[:, :3].repeat(1, 1, 8, 8),
    )

    def draw(self: FrameNoise, number: int, count: int, shape: Any) -> Tensor:
        key = (number, self.start, tuple(shape))
        drawn.setdefault(key, 0)
        drawn[key] += 1
        return torch.zeros(count, *shape)

    monkeypatch.setattr(FrameNoise, 'draw', draw)
    model.restore(clip(10, 20, 21))
    assert {key[1:] for key in drawn} == {(0, (4, 12, 12))}
    assert {key[0] for key in drawn} == {0, 1, 2}
    drawn.clear()
    options = replace(model.restore_options, compat='official')
    model.restore(clip(5, 20, 21), options)
    assert {key[2] for key in drawn} == {(4, 8, 8)}


def test_the_tiny_config_calls_its_denoiser_a_few_times(monkeypatch):
    model: Any = build_model(load_config('tiny_mgld_vsr')).eval()
    take_random(model)
    calls: list[int] = []

    def predict(z: Tensor, lq: Tensor, t: int, text: Tensor) -> Tensor:
        calls.append(t)
        return z

    monkeypatch.setattr(model, '_predict', predict)
    monkeypatch.setattr(model, '_features', lambda x: ())
    monkeypatch.setattr(
        model.video_autoencoder,
        'decode',
        lambda z, features, weight: z[:, :3].repeat(1, 1, 8, 8),
    )
    model.restore(clip(5, 20, 30))
    assert model.restore_options.steps < len(calls) <= 12


def test_guidance_changes_the_result(monkeypatch):
    lq = clip(5)
    results = [
        guided(monkeypatch, kind).restore(lq)
        for kind in ('none', 'published', 'intended')
    ]
    assert not torch.equal(results[0], results[1])
    assert not torch.equal(results[1], results[2])


def test_half_precision_is_close(monkeypatch):
    model = guided(monkeypatch, 'published')
    options = replace(model.restore_options, compat='official')
    half = make()
    half.place(torch.device('cpu'), torch.bfloat16)
    assert half.unet.unet.conv_in.weight.dtype == torch.bfloat16
    out = guide_by(monkeypatch, half, 'published').restore(clip(2), options)
    error = (out.float() - model.restore(clip(2), options).float()).abs()
    assert 0 < float(error.mean()) < 8


def test_official_guidance_is_the_published_one(monkeypatch):
    options = replace(tiny().restore_options, compat='official')
    with pytest.raises(ValueError, match="'intended'"):
        guided(monkeypatch, 'intended').restore(clip(2), options)
    assert guided(monkeypatch, 'published').restore(
        clip(2), options
    ).shape == (2, 3, 28, 28)


def test_refuses_what_it_cannot_do():
    with pytest.raises(ValueError, match='motion_guidance'):
        make(motion_guidance='always')
    with pytest.raises(ValueError, match='between 0 and 1, got 2'):
        make(fidelity=2)
    with pytest.raises(ValueError, match='num_frames'):
        make(unet=dict(num_frames=4))
    model = tiny()
    for tile in (16, (64, 16)):
        options = replace(model.restore_options, tile=tile, tile_overlap=8)
        with pytest.raises(ValueError, match='at least 32'):
            model.restore(clip(1), options)
    with pytest.raises(ValueError, match='two files, mgldvsr_unet'):
        model.load_weights('one.ckpt')
    assert 'window' not in model.options_used
    assert {'color_fix', 'steps', 'tile', 'seed'} <= model.options_used


def test_defaults_are_published():
    with torch.device('meta'):
        model: Any = build_model(load_config('mgld_vsr'))
    options = model.restore_options
    assert (options.steps, options.seed) == (50, 42)
    assert (options.color_fix, options.compat) == ('adain', 'none')
    assert (model.num_frames, model.latent_tile) == (5, (64, 32))
    assert (model.fidelity, model.motion_guidance) == (1.0, 'published')
    described = model.describe_options(options)
    assert described['noise'] == 'per_frame'
    assert described['motion_guidance'] == 'published'


def text_state(width: int, tokens: int, length: int) -> dict[str, Tensor]:
    """Make a text tower of two blocks, named as by open_clip."""
    shapes = {
        'token_embedding.weight': (tokens, width),
        'positional_embedding': (length, width),
        'ln_final.weight': (width,),
        'ln_final.bias': (width,),
        'text_projection': (width, width),
        'logit_scale': (),
    }
    for i in range(2):
        start = f'transformer.resblocks.{i}.'
        for name, rows, columns in (
            ('attn.in_proj_', 3 * width, width),
            ('attn.out_proj.', width, width),
            ('mlp.c_fc.', 4 * width, width),
            ('mlp.c_proj.', width, 4 * width),
        ):
            shapes[f'{start}{name}weight'] = (rows, columns)
            shapes[f'{start}{name}bias'] = (rows,)
        for name in ('ln_1', 'ln_2'):
            shapes[f'{start}{name}.weight'] = (width,)
            shapes[f'{start}{name}.bias'] = (width,)
    return {k: torch.randn(shape) for k, shape in shapes.items()}


@cache
def official_states() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Make the two small checkpoints in the official form."""
    torch.manual_seed(0)

    def random(name: str) -> dict[str, Tensor]:
        shapes = read_shapes(f'mgld_vsr/{name}.tsv')
        return {k: torch.randn(shape) for k, shape in shapes.items()}

    video = random('tiny_video_vae_manifest')
    parts = {
        'model.diffusion_model': random('tiny_unet_manifest'),
        'structcond_stage_model': random('tiny_structcond_manifest'),
        'first_stage_model': {
            k: torch.randn(v.shape)
            for k, v in video.items()
            if 'temporal' not in k and 'fusion' not in k
        },
        'cond_stage_model.model': text_state(48, 60, 7),
        'flownet_model': random('manifest_raft'),
    }
    state = {
        f'{prefix}.{k}': v
        for prefix, part in parts.items()
        for k, v in part.items()
    }
    state |= {'betas': torch.zeros(9), 'model_ema.decay': torch.ones(())}
    return state, {**video, 'loss.discriminator.weight': torch.zeros(1)}


def unfilled(**changes: Any) -> MGLDVSR:
    """Build the model of the small checkpoints, without weights."""
    text = dict(width=48, layers=2, heads=2, context_length=7, vocab_size=60)
    settings = dict(
        unet=dict(
            channels=(64, 128, 128),
            layers=1,
            attention_levels=(0, 1),
            head_dim=32,
            context=48,
            structure=32,
        ),
        structure_encoder=dict(
            channels=(64, 64, 128),
            layers=1,
            attention_levels=(0, 1),
            heads=2,
            outputs=32,
        ),
        video_autoencoder=dict(channels=(32, 64, 64, 64), layers=1),
        text_encoder=dict(type='OpenCLIPTextEncoder', **text),
        latent_tile=(4, 2),
    )
    return MGLDVSR(**{**settings, **changes}).eval()


def test_official_files(tmp_path: Path):
    states = official_states()
    paths = [tmp_path / name for name in mgld_vsr.WEIGHTS]
    for path, state in zip(paths, states, strict=True):
        torch.save({'state_dict': state, 'global_step': 3}, path)
    model = unfilled()
    model.load_weights(*paths)
    own = model.state_dict()
    main, video = states
    for name, official in {
        'unet.after_middle.0.temporal_alpha': (
            'model.diffusion_model.middle_block.1.temporal_alpha'
        ),
        'unet.after_middle.2.temporal_conv.bias': (
            'model.diffusion_model.middle_block.5.temporal_conv.bias'
        ),
        'unet.unet.mid_block.resnets.1.conv1.weight': (
            'model.diffusion_model.middle_block.4.in_layers.2.weight'
        ),
        'first_stage.quant_conv.bias': 'first_stage_model.quant_conv.bias',
    }.items():
        assert torch.equal(own[name], main[official]), name
    assert torch.equal(
        own['video_autoencoder.mixings.2.1.temporal_alpha'],
        video['decoder.up.2.temporal_mixing.1.temporal_alpha'],
    )
    embedded = model.text_encoder([''])
    assert embedded.shape == (1, 7, 48) and bool(embedded.isfinite().all())

    other = unfilled(motion_guidance='none')  # needs no flow network
    other.load_weights(*paths)
    assert other.loaded and 'flow' not in other.parts


@pytest.mark.parametrize(
    ('where', 'name', 'message'),
    [
        (0, 'model.diffusion_model.middle_block.3.temporal_alpha', 'missing'),
        (0, 'structcond_stage_model.fea_tran.1.in_layers.0.bias', 'missing'),
        (0, 'first_stage_model.encoder.conv_in.weight', 'conv_in.weight'),
        (0, 'cond_stage_model.model.ln_final.bias', 'final_layer_norm.bias'),
        (0, 'flownet_model.', 'flownet_model'),
        (0, 'cond_stage_model.', 'cond_stage_model'),
        (1, 'decoder.up.0.temporal_mixing.0.temporal_alpha', 'mixings.0.0'),
    ],
)
def test_incomplete_files_are_refused(
    monkeypatch, where: int, name: str, message: str
):
    states = [dict(state) for state in official_states()]
    for key in [k for k in states[where] if k.startswith(name)]:
        del states[where][key]
    files = dict(zip(map(Path, mgld_vsr.WEIGHTS), states, strict=True))
    monkeypatch.setattr(latent_diffusion_files, 'read_state', files.get)
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        unfilled_on_meta().load_weights(*files)
    assert mgld_vsr.WEIGHTS[where] in str(caught.value)


@cache
def unfilled_on_meta() -> MGLDVSR:
    with torch.device('meta'):
        return unfilled()


@pytest.mark.slow
def test_with_the_flow_network():
    model = make(motion_guidance='published')
    lq = clip(6)
    out = model.restore(lq)
    assert out.shape == (6, 3, 28, 28)
    assert not torch.equal(out, tiny().restore(lq))
