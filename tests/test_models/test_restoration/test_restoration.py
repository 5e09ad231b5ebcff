"""The restore path: identities that no window, tile or segment may break."""

from itertools import product

import pytest
import torch

from star.models.autoencoders.temporal_vae import TemporalVAE
from star.models.data_preprocessor import (
    to_float,
    to_uint8,
    upsample_clip,
)
from star.models.restoration import restoration
from star.models.restoration.frame_plan import plan_frames
from star.video import padding
from tests.test_models.fakes import (
    PixelBackbone,
    fake_model,
    latent,
    random_clip,
    restore,
    small_model,
)


@pytest.fixture
def short_segments(monkeypatch):
    """Make segments as short as the options allow: one window."""
    monkeypatch.setattr(restoration, 'SEGMENT_BYTES', 1)
    monkeypatch.setattr(restoration, 'WEIGHT_SHARE', 0)


@pytest.mark.parametrize('blend', ['smooth', 'cut'])
@pytest.mark.parametrize('segment_bytes', [1, 2**27])
def test_identity_at_every_length(monkeypatch, blend, segment_bytes):
    monkeypatch.setattr(restoration, 'SEGMENT_BYTES', segment_bytes)
    monkeypatch.setattr(restoration, 'WEIGHT_SHARE', 0)
    model = fake_model(blend=blend, window=5, overlap=2)
    for length in [*range(1, 41), 64, 99, 100]:
        lq = random_clip(length, 3, 5, seed=length)
        assert torch.equal(model.restore(lq), lq), length


@pytest.mark.parametrize('window, overlap', [(1, 0), (2, 1), (7, 6), (32, 8)])
def test_identity_with_any_window(short_segments, window, overlap):
    model = fake_model(window=window, overlap=overlap)
    for length in (1, 2, 13, 33, 40):
        lq = random_clip(length, 2, 4)
        assert torch.equal(model.restore(lq), lq), length


@pytest.mark.parametrize('downsample', [1, 8])
@pytest.mark.parametrize('tile', [0, 80, 104])
def test_identity_at_odd_sizes(short_segments, downsample, tile):
    tile = tile * downsample // 8
    model = fake_model(
        downsample=downsample,
        tile=tile,
        tile_overlap=tile // 3,
        window=3,
        overlap=1,
    )
    for height, width in [(1, 1), (7, 33), (50, 17), (97, 41), (16, 100)]:
        lq = random_clip(4, height, width)
        assert torch.equal(model.restore(lq), lq), (height, width)


@pytest.mark.parametrize('sampler', ['dpmpp_2m_sde', 'ddim', 'heun'])
def test_identity_with_any_sampler(short_segments, sampler):
    lq = random_clip(9)
    for mode, steps, strength, scale, rescale in product(
        ('fast', 'normal'), (1, 5), (0.001, 0.3, 1), (1, 7.5), (0, 0.2)
    ):
        options = {
            'sampler': sampler,
            'mode': mode,
            'steps': steps,
            'strength': strength,
            'guidance_scale': scale,
            'guidance_rescale': rescale,
        }
        model = fake_model(window=4, overlap=1, **options)
        assert torch.equal(model.restore(lq), lq), options


@pytest.mark.parametrize('strength', [0.0001, 0.002, 0.01, 0.5, 1])
@pytest.mark.parametrize('steps', [1, 15, 1000])
def test_more_steps_than_timesteps(strength, steps):
    model = fake_model(steps=steps, strength=strength)
    lq = random_clip(1, 1, 1)
    assert torch.equal(model.restore(lq), lq)
    start = round(899 * strength)
    assert len(model.backbone.lengths) == min(steps, start + 1)


@pytest.fixture
def small_official(monkeypatch):
    """Shrink the official frame, which is 720 x 1280 and multiples of 64."""
    monkeypatch.setattr(padding, 'OFFICIAL_SIZE', (18, 16))
    monkeypatch.setattr(padding, '_OFFICIAL_MULTIPLE', 8)


def test_official_identity_at_every_length(small_official, short_segments):
    model = fake_model(compat='official', window=32)
    for length in [*range(1, 41), 64, 100]:
        lq = random_clip(length, 5, 7, seed=length)
        model.backbone.lengths.clear()
        assert torch.equal(model.restore(lq), lq), length
        # one window up to 1.25 chunks, and so the last of several
        longest = length if length <= 40 else {64: 32, 100: 36}[length]
        assert max(model.backbone.lengths) == longest


def test_official_identity_at_any_size(small_official):
    model = fake_model(compat='official')
    for height, width in [(1, 1), (18, 16), (17, 15), (19, 17), (26, 40)]:
        lq = random_clip(2, height, width)
        assert torch.equal(model.restore(lq), lq), (height, width)


@pytest.mark.parametrize('height, width', [(50, 60), (722, 30)])
def test_official_frame(height, width):
    model = fake_model(downsample=8, steps=1, compat='official')
    lq = random_clip(1, height, width)
    assert torch.equal(model.restore(lq), lq)
    (z,) = model.autoencoder.decoded
    assert z.shape[-1] == 160  # 1280 pixels
    assert z.shape[-2] == (90 if height < 720 else 98)
    x = model.autoencoder.decode_pieces(z)
    white = next(x)[0, :, 0]
    assert white[:, :, 0].min() > 0.999  # left edge: centred in white
    assert white[:, -1].min() > 0.999  # last row


@pytest.mark.parametrize(
    'options',
    [
        {'window': 1, 'overlap': 0},
        {'window': 5, 'overlap': 3},
        {'window': 5, 'overlap': 3, 'blend': 'cut'},
        {'tile': 6, 'tile_overlap': 1},
        {'tile': 10, 'tile_overlap': 3, 'window': 4, 'overlap': 2},
    ],
)
def test_windows_and_tiles_change_nothing_in_themselves(options):
    model = fake_model(PixelBackbone, steps=4)
    lq = random_clip(12, 21, 14)
    whole = latent(model, lq)
    parts = latent(model, lq, **options)
    torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-3)
    assert whole.std() > 0.2  # something happened


def test_segments_change_only_what_they_share(monkeypatch):
    model = fake_model(PixelBackbone, steps=4)
    lq = random_clip(20)
    options = {'window': 8, 'overlap': 2}
    whole = latent(model, lq, **options)
    monkeypatch.setattr(restoration, 'SEGMENT_BYTES', 1)
    monkeypatch.setattr(restoration, 'WEIGHT_SHARE', 0)
    parts = latent(model, lq, **options)
    shared = [6, 7, 12, 13]  # segments 0..8, 6..14, 12..20
    alone = [i for i in range(20) if i not in shared]
    torch.testing.assert_close(
        parts[:, :, alone], whole[:, :, alone], rtol=1e-4, atol=1e-3
    )
    options['overlap'] = 0
    parts = latent(model, lq, **options)
    torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-3)


def test_one_tile_that_spans_the_frame_changes_nothing():
    model = small_model(steps=1)
    lq = random_clip(2)
    whole = model.restore(lq)
    for tile in (16, 500):
        options = {'tile': tile, 'tile_overlap': 4}
        assert torch.equal(restore(model, lq, **options), whole)


def test_impossible_tile_is_named():
    model = fake_model(tile=5, tile_overlap=3)
    with pytest.raises(ValueError, match=r'`tile` 5 .*`tile_overlap` 3'):
        model.restore(random_clip(1, 30, 30))


def test_same_seed_same_bytes():
    model = small_model()
    lq = random_clip(2, 4, 5)
    first = model.restore(lq)
    assert first.shape == (2, 3, 8, 10) and first.dtype == torch.uint8
    assert first.float().std() > 10
    torch.manual_seed(123)
    assert torch.equal(model.restore(lq), first)
    for seed in (1, 2**31):
        other = restore(model, lq, seed=seed)
        assert (other != first).float().mean() > 0.5
    changed = random_clip(2, 4, 5, seed=1)
    assert not torch.equal(model.restore(changed), first)


def test_dropout_is_off_and_training_goes_on():
    model = small_model()
    lq = random_clip(2)
    first = model.restore(lq)
    model.train()
    assert torch.equal(model.restore(lq), first)
    assert model.training and model.backbone.training
    assert not model.autoencoder.training
    stream = model.restore_stream(lq)
    next(stream)
    stream.close()
    assert model.training


def test_restored_pieces_are_ordinary_tensors():
    model = fake_model()
    pieces = list(model.restore_stream(random_clip(5)))
    assert [len(piece) for piece in pieces] == [3, 2]
    assert not any(piece.requires_grad for piece in pieces)
    assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()


def test_stream_equals_clip(short_segments):
    model = small_model(window=3, overlap=1)
    lq = random_clip(6, 3, 4)
    pieces = list(model.restore_stream(iter(lq)))
    assert len(pieces) > 2
    assert torch.equal(torch.cat(pieces), model.restore(lq))
    assert list(model.restore_stream([])) == []


def test_one_frame():
    model = small_model()
    lq = random_clip(1, 5, 3)
    for options in ({}, {'tile': 8, 'tile_overlap': 2}, {'mode': 'fast'}):
        out = restore(model, lq, **options)
        assert out.shape == (1, 3, 10, 6)


def test_frames_are_read_as_they_are_needed(short_segments):
    model = fake_model(window=4, overlap=1)
    read = []

    def frames():
        for frame in random_clip(30):
            read.append(frame)
            yield frame

    stream = model.restore_stream(frames())
    assert not read
    next(stream)
    assert len(read) == 5
    assert len(list(stream)) > 5 and len(read) == 30


def test_memory_of_a_segment_is_bounded():
    model = fake_model()
    parts, options = model.parts, model.restore_options

    def segment(height, width):
        frame = random_clip(1, height, width)[0]
        plan = plan_frames(frame, options, parts.autoencoder, parts.backbone)
        return restoration.segment_size(parts, options, plan)

    assert segment(720, 1280) == options.window
    held = segment(32, 32) * 4 * 3 * 34 * 32 * restoration.SAMPLER_COPIES
    assert 0.9 < held / restoration.SEGMENT_BYTES <= 1


@pytest.mark.parametrize('scale', [0.5, 1.5, 2, 3.7, 4])
def test_scale(scale):
    lq = random_clip(2, 11, 6)
    out = restore(fake_model(), lq, scale=scale)
    size = (round(11 * scale), round(6 * scale))
    clip = torch.nn.functional.interpolate(
        lq.float(), size, mode='bicubic', align_corners=False
    )
    expected = clip.round().clamp(0, 255)
    assert out.shape[-2:] == size
    assert (out.float() - expected).abs().max() <= 1
    assert (out.float() - expected).abs().mean() < 0.01


def test_bilinear_enlargement():
    lq = random_clip(2)
    out = restore(fake_model(), lq, scale=4, upsample='bilinear')
    expected = torch.nn.functional.interpolate(
        lq.float(), scale_factor=4, mode='bilinear', align_corners=False
    )
    assert (out.float() - expected).abs().max() < 0.51


def test_vanishing_frame():
    with pytest.raises(ValueError, match=r'`scale` 0.01 makes 7x6 vanish'):
        restore(fake_model(), random_clip(1), scale=0.01)


def test_color_fix_sees_the_frames_that_belong(short_segments):
    model = fake_model(PixelBackbone, window=4, overlap=1, steps=1)
    lq = random_clip(10)
    lq = (lq // 4) + torch.arange(10, dtype=torch.uint8)[
        :, None, None, None
    ] * 15
    for name in ('adain', 'wavelet'):
        out = restore(model, lq, color_fix=name)
        ratio = out.float().mean((1, 2, 3)) / lq.float().mean((1, 2, 3))
        assert (ratio - 1).abs().max() < 0.25, name


def test_bad_streams():
    model = fake_model()
    small, large = random_clip(1, 4, 4)[0], random_clip(1, 6, 4)[0]
    with pytest.raises(ValueError, match=r'\(3, 4, 4\).*\(3, 6, 4\)'):
        list(model.restore_stream([small, large]))
    for frame in (small.float(), small[:1], small[None]):
        with pytest.raises(ValueError, match=r'\(3, h, w\) uint8'):
            list(model.restore_stream([frame]))


def with_real_autoencoder(posterior, **options):
    model = fake_model(window=4, overlap=1, **options)
    torch.manual_seed(0)
    model.autoencoder = TemporalVAE(
        block_out_channels=(32,) * 4,
        layers_per_block=1,
        norm_groups=1,
        decode_overlap=1,
        posterior=posterior,
    ).eval()
    return model


@pytest.mark.parametrize('tile', [0, 64])
@torch.no_grad()
def test_restores_what_a_real_autoencoder_keeps(tile):
    """Enlarge, pad, encode, decode and crop, here step by step."""
    model = with_real_autoencoder('mode', tile=tile, tile_overlap=16)
    lq = random_clip(5, 40, 37)
    out = restore(model, lq, scale=2)
    x = upsample_clip(to_float(lq), (80, 74)).transpose(0, 1)[None]
    more = padding.pad_amount(80, 74, (32, 32), (16, 0))
    z = model.autoencoder.encode(padding.pad_replicate(x, *more), tile=tile)
    expected = model.autoencoder.decode(z, tile=tile)[0].transpose(0, 1)
    difference = out.float() - to_uint8(expected[..., :80, :74]).float()
    assert difference.abs().max() <= 1
    assert out.float().std() > 1


def test_the_seed_draws_the_autoencoders_sample():
    model = with_real_autoencoder('sample')
    lq = random_clip(2, 4, 6)
    out = model.restore(lq)
    assert torch.equal(model.restore(lq), out)
    assert not torch.equal(restore(model, lq, seed=1), out)


def test_a_later_run_goes_on_from_any_point(short_segments):
    model = small_model(window=4, overlap=2, seed=3, steps=2)
    lq = random_clip(11, 8, 8)
    whole, points = model.restore(lq), []
    for piece in model.restore_pieces(iter(lq)):
        if piece.point is not None:
            points.append(piece.point())
    assert [(point.frame, point.done) for point in points] == [
        (start, start) for start in (2, 4, 6, 8)
    ]
    for point in points:
        rest = model.restore_pieces(iter(lq[point.frame :]), point=point)
        frames = torch.cat([piece.frames for piece in rest])
        assert torch.equal(frames, whole[point.done :])


def test_a_point_is_needed_to_go_on(short_segments):
    model = small_model(window=4, overlap=2, seed=3, steps=2)
    lq = random_clip(11, 8, 8)
    alone = model.restore(lq[4:])
    assert not torch.equal(alone, model.restore(lq)[4:])
