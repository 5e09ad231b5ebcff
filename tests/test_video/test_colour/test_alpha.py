"""Opacity: its decoder, and its size."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from star.video.colour.alpha import enlarge
from star.video.io import VideoReader, probe
from star.video.pieces import VideoCoder, join_video
from star.video.result_plan import ResultRequest, plan_result


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_opacity_is_enlarged_as_frames_are(dtype):
    peak = np.iinfo(dtype).max
    rng = np.random.default_rng(0)
    alpha = (rng.uniform(0, 1, (6, 8)) * peak).astype(dtype)
    got = enlarge(alpha, (32, 24))
    assert (got.dtype, got.shape) == (dtype, (24, 32))
    clip = torch.from_numpy(alpha.astype(np.float32))[None, None]
    wanted = interpolate(clip, size=(24, 32), mode='bicubic')[0, 0]
    wanted = wanted.clamp(0, peak).numpy()
    assert np.abs(got - wanted).max() <= 1.5 * peak / 255


def test_opacity_is_averaged_where_frames_shrink():
    alpha = np.array([[0, 255], [255, 255]], np.uint8)
    assert enlarge(alpha, (1, 1)).tolist() == [[191]]
    assert enlarge(alpha, (2, 2)) is alpha


@pytest.mark.parametrize(
    ('name', 'pix_fmt', 'least'),
    [
        ('a.webm', 'yuva420p', 2),
        ('a.mkv', 'yuva444p', 0),
        ('a.mov', 'yuva444p12le', 1),
    ],
)
def test_opacity_survives_the_joining_of_pieces(
    tmp_path, name, pix_fmt, least
):
    """That of VP9 lies beside its packets."""
    path = tmp_path / name
    source = probe(_transparent_png(tmp_path))
    assert source.has_alpha
    plan = plan_result(path, (64, 48), source, ResultRequest())
    assert plan.alpha and not plan.losses
    ramp = np.repeat(np.arange(64, dtype=np.uint8)[None] * 4, 48, axis=0)
    image = np.full((48, 64, 3), 90, np.uint8)
    pieces = []
    for i in range(2):
        coder = VideoCoder(plan.encoding, path.suffix)
        time = Fraction(i, 25)
        coder.write(image, time, Fraction(1, 25), ramp if i else None)
        pieces.append(coder.finish())
    sink = plan.make_sink(path)
    sink.begin()
    join_video(sink, [p.frames for p in pieces], pieces.__getitem__)
    sink.finish()
    reader = VideoReader(path)
    reader.keep_alpha = True
    opaque, faded = reader
    assert reader.info.pix_fmt == pix_fmt and reader.info.has_alpha
    assert opaque.alpha is None
    assert np.abs(faded.alpha.astype(int) - ramp).max() <= least


def _transparent_png(folder):
    from PIL import Image

    path = folder / 'a.png'
    Image.new('RGBA', (64, 48), (10, 20, 30, 40)).save(path)
    return path
