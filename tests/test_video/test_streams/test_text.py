"""Tests of subtitles: text, times and kinds in every container."""

from fractions import Fraction

import av
import pytest

from star.video.io import probe
from star.video.streams.plan import plan_streams
from star.video.streams.text import TextTrack
from tests.test_video.clips import packets
from tests.test_video.mixed_clips import (
    ASS_HEADER,
    MS,
    Sound,
    Text,
    mix,
    rewrite,
    text_packet,
    texts,
)

WORDS = 'Ümläut & more'.encode()
PLAIN = [(0.2, 0.8, 'one\ntwo'), (1.0, 1.5, 'Ümläut & more')]
SRT = [(0.2, 0.8, b'one\ntwo'), (1.0, 1.5, WORDS)]
ASS = [
    (0.2, 0.8, rb'0,0,Default,,0,0,0,,one\Ntwo'),
    (1.0, 1.5, b'1,0,Default,,0,0,0,,' + WORDS),
]
MOV = [
    (0.2, 0.8, b'\x00\x07one\ntwo'),
    (1.0, 1.5, bytes([0, len(WORDS)]) + WORDS),
]
# a picture of 64 x 48 that shows nothing, and the end of its segments
SEGMENTS = bytes.fromhex('16000b0040003010000080000000800000')
SOURCES = {
    'subrip': ('.mkv', SRT),
    'ass': ('.mkv', ASS),
    'webvtt': ('.mkv', SRT),
    'mov_text': ('.mp4', MOV),
}


def kinds(path):
    with av.open(str(path)) as container:
        streams = container.streams.subtitles
        return [s.codec_context.codec.canonical_name for s in streams]


@pytest.mark.parametrize('codec', SOURCES)
@pytest.mark.parametrize(
    ('to', 'kept', 'new'),
    [
        ('.mp4', ('mov_text',), 'mov_text'),
        ('.mov', ('mov_text',), 'mov_text'),
        ('.mkv', ('subrip', 'ass', 'webvtt'), 'subrip'),
        ('.webm', ('webvtt',), 'webvtt'),
    ],
)
def test_text_and_times_stay(tmp_path, codec, to, kept, new):
    suffix, lines = SOURCES[codec]
    source = mix(tmp_path / f'a{suffix}', Text(codec, lines))
    target = tmp_path / f'b{to}'
    notes = rewrite(source, target)
    assert kinds(target) == [codec if codec in kept else new]
    assert len(notes) == (codec not in kept)
    assert texts(target) == PLAIN


def test_copied_packets_are_the_same_bytes(tmp_path):
    source = mix(tmp_path / 'a.mkv', Text('ass', ASS))
    rewrite(source, tmp_path / 'b.mkv')
    old, new = (packets(tmp_path / n, 'subtitle') for n in ('a.mkv', 'b.mkv'))
    assert new == old


def test_slant_survives_both_ways(tmp_path):
    lines = [(0.2, 0.8, b'so <i>very</i> nice')]
    source = mix(tmp_path / 'a.mkv', Text('subrip', lines))
    rewrite(source, tmp_path / 'b.mp4')
    rewrite(tmp_path / 'b.mp4', tmp_path / 'c.mkv')
    assert packets(tmp_path / 'c.mkv', 'subtitle') == [(0.2, lines[0][2])]


@pytest.mark.parametrize('codec', ['subrip', 'webvtt'])
@pytest.mark.parametrize('to', ['.mp4', '.mkv', '.webm', '.mov'])
def test_one_without_an_end_lasts_until_the_next(tmp_path, codec, to):
    lines = [(0.2, None, b'one'), (1.0, None, b'two')]
    source = mix(tmp_path / 'a.mkv', Text(codec, lines))
    rewrite(source, tmp_path / f'b{to}')
    found = texts(tmp_path / f'b{to}')
    assert found == [(0.2, 1.0, 'one'), (1.0, 2.0, 'two')]


@pytest.mark.parametrize('to', ['.mp4', '.mkv'])
def test_one_behind_the_end_is_kept(tmp_path, to):
    lines = [(0.2, 0.8, b'one'), (2.5, None, b'two')]
    source = mix(tmp_path / 'a.mkv', Text('subrip', lines))
    rewrite(source, tmp_path / f'b{to}')
    begin, end, text = texts(tmp_path / f'b{to}')[1]
    assert (begin, text) == (2.5, 'two')
    assert end > begin


def test_overlapping_texts_are_joined_in_mp4(tmp_path):
    lines = [(0.2, 1.5, b'A'), (0.5, 0.9, b'B'), (1.5, 1.7, b'C')]
    source = mix(tmp_path / 'a.mkv', Text('subrip', lines))
    rewrite(source, tmp_path / 'b.mp4')
    assert texts(tmp_path / 'b.mp4') == [
        (0.2, 0.5, 'A'),
        (0.5, 0.9, 'A\nB'),
        (0.9, 1.5, 'A'),
        (1.5, 1.7, 'C'),
    ]
    rewrite(source, tmp_path / 'b.mkv')
    assert [t[:2] for t in texts(tmp_path / 'b.mkv')] == [
        line[:2] for line in lines
    ]


def test_times_out_of_order_are_sorted():
    with av.open('a.mkv', 'w', format='null') as output:
        target = output.add_stream('subrip')
        target.codec_context.subtitle_header = ASS_HEADER
        track = TextTrack(target, target, encoded=False)
        for begin, data in ((0.2, b'A'), (1.0, b'C'), (0.5, b'B')):
            packet = text_packet(target, begin, begin + 0.1, data)
            assert track.feed(packet, Fraction(0)) == []
        found = track.due(Fraction(2)) + track.finish(Fraction(9), trim=False)
    assert [bytes(p) for p in found] == [b'A', b'B', b'C']
    assert [p.dts for p in found] == [200, 500, 1000]


@pytest.mark.parametrize('to', ['.mp4', '.mkv'])
def test_subtitles_end_with_the_first_frames(tmp_path, to):
    lines = [(0.2, 0.8, b'one'), (0.9, 1.9, b'two'), (1.5, 1.8, b'three')]
    source = mix(tmp_path / 'a.mkv', Sound(), Text('subrip', lines))
    target = tmp_path / f'b{to}'
    rewrite(source, target, num_frames=25, trim_streams=True)
    assert [t[2] for t in texts(target)] == ['one', 'two']


def test_text_that_begins_before_the_picture(tmp_path):
    source = mix(
        tmp_path / 'a.mkv',
        Text('subrip', [(0.2, 1.0, b'one'), (1.1, 1.4, b'two')]),
        start=0.4,
    )
    rewrite(source, tmp_path / 'b.mp4')
    assert texts(tmp_path / 'b.mp4') == [(0, 0.6, 'one'), (0.7, 1.0, 'two')]


@pytest.mark.parametrize(
    ('codec', 'kept'),
    [
        ('hdmv_pgs_subtitle', ('.mkv', '.m2ts')),
        ('dvd_subtitle', ('.mkv', '.vob')),
        ('dvb_subtitle', ('.mkv', '.ts')),
    ],
)
def test_pictures_of_text_go_to_matroska(tmp_path, codec, kept):
    def add(output):
        stream = output.add_mux_stream(codec)
        stream.time_base = MS

        def write():
            output.mux(text_packet(stream, 0.5, 1.0, SEGMENTS))

        return write

    source = mix(tmp_path / 'a.mkv', prepare=add)
    info = probe(source)
    for suffix in kept:
        plan = plan_streams(info, suffix)
        assert len(plan.routes) == 1
        assert plan.losses == ()
    for suffix in ('.mp4', '.mov', '.webm', '.avi'):
        plan = plan_streams(info, suffix)
        assert plan.routes == ()
        assert plan.losses == (
            f'lost in {suffix}: subtitle stream 1 ({codec}); choose .mkv',
        )
    rewrite(source, tmp_path / 'b.mkv')
    old, new = (packets(tmp_path / n, 'subtitle') for n in ('a.mkv', 'b.mkv'))
    assert new == old
