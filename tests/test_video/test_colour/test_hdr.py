"""The space in which HDR is restored, and the way back."""

import av
import numpy as np
import pytest
import torch

from star.models.editors.interpolation.interpolation import Bicubic
from star.video.colour import hdr
from star.video.encoder import plan_encoding
from star.video.io import VideoReader
from star.video.pixels import to_yuv
from tests.test_video.clips import yuv_planes


@pytest.mark.parametrize('bits', [10, 12])
def test_each_code_of_pq_comes_back(bits):
    top = 2**bits - 1
    codes = np.rint(np.arange(top + 1) * 65535 / top).astype(np.uint16)
    there = hdr.to_working(codes, hdr.PQ)
    back = hdr.from_working(there, hdr.PQ)
    assert (np.diff(there.astype(int)) > 0).all()
    error = np.abs(back.astype(int) - codes) * top / 65535
    assert error.max() < 0.1


def _pq(light):
    """Encode cd/m2 as ITU-R BT.2100 writes it."""
    y = (light / 10000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375


@pytest.mark.parametrize(
    ('light', 'value'),
    [
        (0, 0),
        (20.3, 0.75 * 0.1 ** (1 / 2.4)),
        (101.5, 0.75 * 0.5 ** (1 / 2.4)),
        (203, 0.75),
        (10000, 1),
    ],
)
def test_the_space_is_gamma_up_to_white(light, value):
    code = np.array([round(65535 * _pq(light))], np.uint16)
    found = hdr.to_working(code, hdr.PQ)[0] / 65535
    assert abs(found - value) < 2e-4


def test_hlg_is_restored_as_it_is():
    codes = np.arange(65536, dtype=np.uint16)
    for transfer in (hdr.HLG, 1):
        assert hdr.to_working(codes, transfer) is codes
        assert hdr.from_working(codes, transfer) is codes


def _ramp_and_colours():
    """Make a ramp of grays and frames of one saturated colour, 16 bits."""
    ramp = np.linspace(0, 65535, 256)[None, :, None]
    colours = [
        np.array([[(a, b, c)]])
        for a in (0, 40000)
        for b in (0, 50000)
        for c in (0, 60000)
    ]
    frames = [np.broadcast_to(x, (64, 256, 3)) for x in (ramp, *colours)]
    return [np.rint(frame).astype(np.uint16) for frame in frames]


def _write(path, frames):
    """Write frames without loss, with the tags that they have."""
    first = frames[0]
    with av.open(str(path), 'w') as output:
        stream = output.add_stream('ffv1', rate=25)
        stream.width, stream.height = first.width, first.height
        stream.pix_fmt = first.format.name
        context = stream.codec_context
        context.color_range, context.colorspace = 1, 9
        context.color_primaries, context.color_trc = 9, first.color_trc
        for i, frame in enumerate(frames):
            frame.pts = i
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


@pytest.mark.parametrize('pix_fmt', ['yuv420p10le', 'yuv444p12le'])
@pytest.mark.parametrize('transfer', [hdr.PQ, hdr.HLG])
def test_a_restoration_at_scale_1_keeps_every_code(
    tmp_path, transfer, pix_fmt
):
    frames = [to_yuv(image, pix_fmt, 9) for image in _ramp_and_colours()]
    for frame in frames:
        frame.color_primaries, frame.color_trc = 9, transfer
    _write(tmp_path / 'a.mkv', frames)
    reader = VideoReader(tmp_path / 'a.mkv')
    reader.depth = 16
    clip = torch.from_numpy(np.stack([frame.image for frame in reader]))
    assert reader.info.hdr and reader.notes == ()
    out = Bicubic(scale=1).restore(clip.permute(0, 3, 1, 2))
    encoding, notes = plan_encoding(
        'ffv1', pix_fmt, (256, 64), 17, reader.info, '.mkv'
    )
    assert notes == [] and encoding.matrix == 9
    for frame, restored in zip(frames, out, strict=True):
        image = restored.permute(1, 2, 0).contiguous().numpy()
        got = encoding.make_frame(image)
        for one, other in zip(yuv_planes(frame), yuv_planes(got), strict=True):
            assert np.abs(one.astype(int) - other).max() == 0
