"""The restore path where a latent stands for several frames."""

import pytest
import torch

from star.diffusion.cogvideox_schedule import CogVideoXSchedule
from star.diffusion.guidance import dynamic_guidance
from star.models.data_preprocessor import to_float, to_uint8
from star.models.restoration.segments import frame_noise
from tests.test_models.fakes import (
    GroupingAutoencoder,
    Listener,
    PixelBackbone,
    fake_model,
    random_clip,
    restore,
)


def grouping_model(*args, **options):
    options = {'window': 9, 'overlap': 5, **options}
    return fake_model(*args, autoencoder=GroupingAutoencoder, **options)


def cogvideox_model(steps=4, **options):
    """As `grouping_model`, with the schedule and sampler of CogVideoX."""
    model = grouping_model(**options)
    model.schedule = CogVideoXSchedule()
    timesteps = model.schedule.list_timesteps('normal', steps, 1)
    del model.backbone.schedule
    model.backbone.schedule = model.schedule.for_timesteps(timesteps)[1]
    return model


@pytest.mark.parametrize(
    'window, overlap', [(9, 5), (9, 1), (9, 0), (5, 1), (25, 9), (25, 21)]
)
def test_identity_at_every_length(window, overlap):
    model = grouping_model(window=window, overlap=overlap)
    for length in [*range(1, 31), 49, 50, 60, 61]:
        lq = random_clip(length, 3, 5, seed=length)
        assert torch.equal(model.restore(lq), lq), length


@pytest.mark.parametrize('window, overlap', [(1, 0), (4, 3)])
def test_identity_with_two_frames_a_latent(monkeypatch, window, overlap):
    monkeypatch.setattr(GroupingAutoencoder, 'temporal_downsample', 2)
    model = grouping_model(window=2 * window + 1, overlap=2 * overlap + 1)
    for length in (1, 2, 3, 8, 9, 22):
        lq = random_clip(length, 2, 4)
        assert torch.equal(model.restore(lq), lq), length


def test_windows_have_the_trained_length():
    model = grouping_model(window=25, overlap=9, steps=1)
    model.restore(random_clip(60, 2, 4))
    # frames 0..24, 16..40, 32..56 and 48..59, the last of which is repeated
    assert model.backbone.lengths == [7, 7, 7, 4]
    # the tail of each window is encoded for the next
    shapes = [x.shape[2] for x in model.autoencoder.encoded]
    assert shapes == [25, 9, 25, 9, 25, 9, 13]
    last = model.autoencoder.encoded[-1]
    assert torch.equal(last[:, :, -1], last[:, :, -2])


def test_neighbours_meet_as_stated():
    """Two windows, here step by step."""
    model = grouping_model(PixelBackbone, steps=1, sampler='ddim', seed=3)
    lq = random_clip(13, 6, 4)
    autoencoder = GroupingAutoencoder()
    clip = to_float(lq).transpose(0, 1)[None]
    alpha, sigma = model.schedule.at(899)

    def restored(start):
        z_lq = autoencoder.encode(clip[:, :, start : start + 9])
        shape = z_lq[:, :, :1].shape
        noise = torch.cat(
            [frame_noise(3, 0, start + i, shape) for i in (0, 4, 8)], dim=2
        )
        z = alpha * z_lq + sigma * noise
        v = model.backbone(z, torch.tensor([899]), None, z_lq)
        return alpha * z - sigma * v

    first = autoencoder.decode(restored(0))
    tail = autoencoder.encode(first[:, :, 4:].clamp(-1, 1))
    z = restored(4)
    # two latents are shared: of frame 4, and of frames 5 to 8
    for i, weight in enumerate((1 / 3, 2 / 3)):
        z[:, :, i] = (1 - weight) * tail[:, :, i] + weight * z[:, :, i]
    second = autoencoder.decode(z)
    expected = torch.cat([first[:, :, :4], second], dim=2)
    for i in range(5):
        weight = (i + 1) / 6
        expected[:, :, 4 + i] = (1 - weight) * first[:, :, 4 + i] + (
            weight * second[:, :, i]
        )
    out = model.restore(lq)
    wanted = to_uint8(expected[0].transpose(0, 1))
    assert (out.int() - wanted.int()).abs().max() <= 1
    assert (out != wanted).float().mean() < 0.01
    alone = restore(model, lq, overlap=0)
    assert (out.int() - alone.int()).abs().float().mean() > 1


def test_stream_equals_clip_and_reads_no_further_than_it_must():
    model = grouping_model(PixelBackbone)
    lq, read = random_clip(30, 3, 4), []

    def frames():
        for frame in lq:
            read.append(frame)
            yield frame

    stream = model.restore_stream(frames())
    pieces = [next(stream)]
    assert len(read) == 10  # one more, to know that it is not the last
    pieces += stream
    assert torch.equal(torch.cat(pieces), model.restore(lq))
    assert max(len(piece) for piece in pieces) <= 8


def test_the_seed_and_the_place_decide():
    """What comes later changes nothing of what is already out."""
    model = grouping_model(PixelBackbone)
    lq = random_clip(20, 3, 4)
    out = model.restore(lq)
    assert torch.equal(model.restore(lq), out)
    assert not torch.equal(restore(model, lq, seed=1), out)
    # the first window gives out 4 frames, the next ones 4 each
    assert torch.equal(model.restore(lq[:14])[:8], out[:8])


def test_color_fix_sees_the_frames_that_belong():
    model = grouping_model(PixelBackbone, steps=1)
    ramp = torch.arange(20, dtype=torch.uint8)[:, None, None, None]
    lq = random_clip(20) // 4 + ramp * 9
    out = restore(model, lq, color_fix='adain')
    ratio = out.float().mean((1, 2, 3)) / lq.float().mean((1, 2, 3))
    assert (ratio - 1).abs().max() < 0.1


@pytest.mark.parametrize('length', [1, 9, 10, 22])
def test_progress(length):
    model = grouping_model()
    listener = Listener()
    model.restore(random_clip(length), events=listener)
    for stage in ('encode', 'denoise', 'decode'):
        done = [d for s, d, _ in listener.told if s == stage]
        assert done[-1] == length == max(done), stage


@pytest.mark.parametrize(
    'tile, latents',
    [((20, 12), (10, 4)), ((12, 24), (6, 12)), ((44, 44), (18, 20))],
)
def test_tiles_that_are_not_square(tile, latents):
    model = grouping_model(PixelBackbone, downsample=2)
    lq = random_clip(3, 33, 49)
    whole = model.restore(lq)
    seen = set()
    model.backbone.register_forward_pre_hook(
        lambda module, inputs: seen.add(inputs[0].shape[-2:])
    )
    parts = restore(model, lq, tile=tile, tile_overlap=4)
    assert (parts.int() - whole.int()).abs().max() <= 1
    # latents of 2 pixels; height 4 k + 2 and width 4 k of them
    assert seen == {torch.Size(latents)}


@pytest.mark.parametrize(
    'sampler', ['cogvideox_dpmpp_2m', 'dpmpp_2m_sde', 'ddim', 'heun']
)
@pytest.mark.parametrize('steps, strength', [(1, 1), (4, 1), (4, 0.5)])
def test_identity_with_the_schedule_of_cogvideox(sampler, steps, strength):
    model = cogvideox_model(steps, sampler=sampler)
    if sampler != 'cogvideox_dpmpp_2m' or strength < 1:
        model.backbone.schedule = model.schedule
    lq = random_clip(20, 3, 5)
    options = {'sampler': sampler, 'steps': steps, 'strength': strength}
    for scale in (1, 6):
        out = restore(model, lq, guidance_scale=scale, **options)
        assert torch.equal(out, lq)


def test_starts_from_pure_noise():
    model = cogvideox_model(2, sampler='cogvideox_dpmpp_2m', seed=5)
    seen = []
    model.backbone.register_forward_pre_hook(
        lambda module, inputs: seen.append(inputs[:2])
    )
    model.restore(random_clip(9, 2, 4))
    (x, t), *_ = seen
    assert t.tolist() == [999]
    expected = frame_noise(5, 0, 0, x.shape, step=4)
    assert torch.equal(x, expected)


def test_guidance_of_each_step(monkeypatch):
    """The velocity is that of the equation at every timestep."""
    model = cogvideox_model(
        8, sampler='ddim', guidance_rescale=0, guidance_exponent=5
    )
    scales = []
    monkeypatch.setattr(
        'star.models.restoration.guided_velocity.guide',
        lambda cond, uncond, scale, rescale: scales.append(scale) or cond,
    )
    lq = random_clip(1, 2, 4)
    restore(model, lq, guidance_scale=6, steps=8)
    steps = [999, 874, 749, 624, 499, 374, 249, 124]
    wanted = [dynamic_guidance(t, 8, 6, 5) for t in steps]
    assert scales == [scale for scale in wanted if scale != 1]
    assert len(set(scales)) > 4


@pytest.mark.parametrize(
    'options, message',
    [
        ({'window': 24}, '`window` must be a multiple of 4 and 1 more'),
        ({'overlap': 4}, '`overlap` must be 0 or a multiple of 4 and 1 more'),
        ({'blend': 'cut'}, "`blend` must be 'smooth'"),
        ({'compat': 'official'}, "`compat` must be 'none'"),
        ({'tile': (16, 2), 'tile_overlap': 1}, r'`tile` \(16, 2\) does not'),
    ],
)
def test_options_that_do_not_fit(options, message):
    model = grouping_model()
    with pytest.raises(ValueError, match=message) as error:
        restore(model, random_clip(2, 33, 40), **options)
    assert '\n' not in str(error.value)
    if 'tile' not in options:
        with pytest.raises(ValueError, match=message):
            grouping_model(**options)
