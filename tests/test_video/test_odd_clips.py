"""Unusual and broken files are read completely or refused in one line."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from star.video.io import VideoError, VideoReader, VideoWriter, count_frames
from tests.paths import CLIPS, needs_clips

pytestmark = needs_clips
FOLDERS = [CLIPS / 'odd', CLIPS / 'lq'] if CLIPS else []
FILES = [path for folder in FOLDERS for path in sorted(folder.iterdir())]
REFUSED = {  # name: (reason, reason with allow_partial or frames it gives)
    'audio_only.mp4': ('no video stream', None),
    'decord_corrupted.mp4': ('48 of 50 frames', 49),
    # how many survive depends on the number of threads FFmpeg takes
    'derived_bitflips.mp4': (r'\d\d of 60 frames', 60),
    'derived_text_as.mp4': ('cannot be opened', None),
    'derived_truncated60_no_moov.mp4': ('moov atom not found', None),
    'invalid_nalu.mp4': ('29 of 30 frames', 29),
    'vp9_invalid_bitstream.webm': ('no frame can be decoded', None),
}
NOTES = {
    'av1_10bit_hdr_portrait_720x1280.mp4': 'HDR (PQ, 10 bit)',
    'derived_hevc10_sdr_640x360.mp4': '10-bit colour',
    'derived_interlaced_mpeg2_576i.ts': 'deinterlaced',
    'derived_interlaced_tff_720x576.mp4': 'deinterlaced',
    'derived_rot90_audio_960x540.mp4': 'turned 270 degrees clockwise',
    'dolbyvision_hdr_5f.mov': 'HDR (HLG, 10 bit)',
    'hevc10_hdr10_1080p.mp4': 'HDR (PQ, 10 bit)',
    'hevc10_rot_7streams_8f.mov': 'turned 90 degrees clockwise',
    'raw_h264_cif.264': 'timestamps are missing: 25 fps',
    'raw_hevc_316x240.h265': 'timestamps are missing: 25 fps',
    'rot180_vfr_10fps_cat.mp4': 'turned 180 degrees clockwise',
    'rotated270_568x320_3f.mov': 'turned 270 degrees clockwise',
    'rotated90_568x320_3f.mov': 'turned 90 degrees clockwise',
    'rotated90_hevc_3f_metadata_track.mp4': 'turned 90 degrees clockwise',
    'tiny_10x12_multitrack.mp4': 'timestamps are missing: 25 fps',
    'vp9_10bit_426x240.webm': '10-bit colour',
}
LONG_WAY = 2_000_000  # bytes; of larger files only some frames are decoded


def manifest():
    lines = (CLIPS / 'MANIFEST.tsv').read_text().splitlines()
    rows = [line.split('\t') for line in lines if '\t' in line]
    return {row[0]: row for row in rows}


def name_of(path: Path):
    return f'{path.parent.name}/{path.name}'


@pytest.mark.parametrize('path', FILES, ids=name_of)
def test_read_whole_or_refused(path):
    if path.name in REFUSED:
        reason, partial = REFUSED[path.name]
        with pytest.raises(VideoError, match=reason) as got:
            count_frames(path)
        assert '\n' not in str(got.value)
        if partial is None:
            with pytest.raises(VideoError, match=reason):
                count_frames(path, allow_partial=True)
        else:
            assert '--allow-partial' in str(got.value)
            assert count_frames(path, allow_partial=True) == partial
        return
    expected = int(manifest()[name_of(path)][3])
    if path.is_file() and path.stat().st_size > LONG_WAY:
        expected = min(expected, 10)
    assert count_frames(path, expected) == expected
    reader = VideoReader(path, num_frames=3)
    frames = list(reader)
    size = reader.info.height, reader.info.width, 3
    assert {f.image.shape for f in frames} == {size}
    stamps = [f.time for f in frames]
    assert stamps == sorted(set(stamps))
    assert NOTES.get(path.name, '') in ' '.join(reader.notes)
    if path.name not in NOTES:
        assert reader.notes == ()


@pytest.mark.parametrize(
    'name',
    [name for name in NOTES if 'rot' in name and 'hevc' not in name]
    + ['sar_2x1.mp4', 'vp9_odd_161x121.webm', 'h264_444_1282x719.mp4'],
)
def test_picture_agrees_with_opencv(name):
    capture = cv2.VideoCapture(str(CLIPS / 'odd' / name))
    expected = capture.read()[1][..., ::-1]
    image = next(iter(VideoReader(CLIPS / 'odd' / name))).image
    assert image.shape == expected.shape
    # OpenCV converts by BT.601 whatever the file says: levels may differ
    near = np.abs(image.astype(int) - expected).mean()
    turned = np.abs(image[::-1, ::-1].astype(int) - expected).mean()
    assert near < 12 and near < turned / 2


def audio_packets(path):
    with av.open(str(path)) as container:
        packets = container.demux(container.streams.audio)
        return [bytes(packet) for packet in packets if packet.size]


@pytest.mark.parametrize(
    'name',
    [
        'derived_rot90_audio_960x540.mp4',
        'failing_audio.mp4',
        'flv1.flv',
        'm2ts_h264.m2ts',
        'hevc10_rot_7streams_8f.mov',
        'timestamps_1000fps_tb.mkv',
    ],
)
def test_rewritten_with_its_sound(name, tmp_path):
    source, target = CLIPS / 'odd' / name, tmp_path / 'a.mp4'
    with VideoReader(source, num_frames=4) as reader:
        frames, info = list(reader), reader.info
        with VideoWriter(target, info.width, info.height, info) as writer:
            for frame in frames:
                writer.write(frame.image, frame.time, frame.duration)
    again = list(VideoReader(target))
    assert [f.time for f in again] == [f.time for f in frames]
    assert audio_packets(target) == audio_packets(source)
