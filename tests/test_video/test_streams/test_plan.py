"""Tests of what becomes of covers, fonts, chapters and labels."""

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from star.video.io import probe
from star.video.streams.plan import Route, StreamPlan, plan_streams
from tests.test_video.clips import packets, ramp
from tests.test_video.mixed_clips import MS, Sound, Text, mix, rewrite

JPEG = cv2.imencode('.jpg', np.full((40, 30, 3), 99, np.uint8))[1].tobytes()
FONT = b'\x00\x01\x00\x00' * 10
CHAPTERS = [(0, 0.8, 'one'), (0.8, 2, 'two')]
COMMENT = int(av.stream.Disposition.comment)


def cover(output, folder):
    """Add a cover as MP4 has it."""
    path = folder / 'cover.jpg'
    path.write_bytes(JPEG)
    with av.open(str(path)) as image:
        stream = output.add_stream_from_template(image.streams.video[0], True)
    stream.disposition = av.stream.Disposition.attached_pic

    def write():
        packet = av.Packet(JPEG)
        packet.stream, packet.time_base = stream, MS
        packet.pts = packet.dts = 0
        output.mux(packet)

    return write


def attached(output):
    """Add a font and a cover as Matroska has them."""
    output.add_attachment('a.ttf', 'application/x-truetype-font', FONT)
    output.add_attachment('front.jpg', 'image/jpeg', JPEG)


def second_picture(output):
    """Add a picture whose frames are reordered."""
    stream = output.add_stream('libx264', rate=25, width=64, height=48)
    stream.metadata['title'] = 'other angle'

    def write():
        for i, image in enumerate(reversed(ramp(20))):
            frame = av.VideoFrame.from_ndarray(image, 'rgb24')
            frame.pts, frame.time_base = i, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))

    return write


def chapters(path):
    with av.open(str(path)) as container:
        return [
            (
                float(c['start'] * c['time_base']),
                float(c['end'] * c['time_base']),
                c['metadata']['title'],
            )
            for c in container.chapters()
        ]


def covers(path):
    flag = av.stream.Disposition.attached_pic
    with av.open(str(path)) as container:
        streams = [s for s in container.streams.video if s.disposition & flag]
        found = (p for p in container.demux(streams) if p.size)
        return [bytes(p) for p in found] if streams else []


def test_only_a_video_has_streams(tmp_path):
    (tmp_path / 'a.jpg').write_bytes(JPEG)
    assert plan_streams(probe(tmp_path / 'a.jpg'), '.mp4') == StreamPlan()


def test_a_cover_goes_to_mp4_and_matroska(tmp_path):
    source = mix(
        tmp_path / 'a.mp4', Sound(), prepare=lambda o: cover(o, tmp_path)
    )
    for name in ('b.mp4', 'b.mkv'):
        assert rewrite(source, tmp_path / name) == ()
        assert covers(tmp_path / name) == [JPEG]
    rewrite(tmp_path / 'b.mkv', tmp_path / 'c.mp4')
    assert covers(tmp_path / 'c.mp4') == [JPEG]
    for suffix in ('.mov', '.webm', '.m4v', '.avi'):
        lost = f'lost in {suffix}: cover 2 (mjpeg); choose .mkv'
        assert lost in plan_streams(probe(source), suffix).losses


def test_fonts_go_to_matroska(tmp_path):
    source = mix(tmp_path / 'a.mkv', Sound(), prepare=attached)
    assert rewrite(source, tmp_path / 'b.mkv') == ()
    with av.open(str(tmp_path / 'b.mkv')) as container:
        fonts = [s for s in container.streams if s.type == 'attachment']
        assert [(f.name, f.data) for f in fonts] == [('a.ttf', FONT)]
        assert fonts[0].mimetype == 'application/x-truetype-font'
    assert covers(tmp_path / 'b.mkv') == [JPEG]
    for suffix in ('.mp4', '.mov', '.webm'):
        plan = plan_streams(probe(source), suffix)
        losses = ' '.join(plan.losses)
        assert 'attachment stream 2 (a.ttf); choose .mkv' in losses


@pytest.mark.parametrize('to', ['.mp4', '.mov', '.mkv', '.webm'])
def test_chapters_move_with_the_start(tmp_path, to):
    source = mix(tmp_path / 'a.mkv', Sound(), chapters=CHAPTERS, start=0)
    rewrite(source, tmp_path / f'b{to}')
    assert chapters(tmp_path / f'b{to}') == CHAPTERS
    late = mix(tmp_path / 'c.mkv', chapters=CHAPTERS, start=0.4)
    rewrite(late, tmp_path / f'd{to}')
    found = chapters(tmp_path / f'd{to}')
    assert found == [(0, 0.4, 'one'), (0.4, 1.6, 'two')]


def test_chapters_that_do_not_fit_are_named(tmp_path):
    source = mix(tmp_path / 'a.mkv', chapters=CHAPTERS)
    for suffix in ('.avi', '.ts'):
        losses = plan_streams(probe(source), suffix).losses
        assert losses == (f'lost in {suffix}: 2 chapters; choose .mkv',)


@pytest.mark.parametrize('to', ['.mp4', '.mov', '.mkv', '.webm'])
def test_titles_and_languages_are_kept(tmp_path, to):
    source = mix(
        tmp_path / 'a.mkv',
        Sound(metadata={'language': 'fra', 'title': 'Son'}),
        Text('subrip', [(0, 1, b'x')], metadata={'language': 'swe'}),
        picture={'language': 'deu', 'title': 'Film'},
        metadata={'title': 'A film', 'artist': 'Somebody'},
    )
    assert plan_streams(probe(source), to).losses == ()
    rewrite(source, tmp_path / f'b{to}')
    same = {'ger': 'deu', 'sve': 'swe'}  # QuickTime's older names
    with av.open(str(tmp_path / f'b{to}')) as container:
        labels = {k.lower(): v for k, v in container.metadata.items()}
        assert (labels['title'], labels['artist']) == ('A film', 'Somebody')
        found = [
            (
                same.get(s.metadata['language'], s.metadata['language']),
                s.metadata.get('title', s.metadata.get('name')),
            )
            for s in container.streams
        ]
        assert found == [('deu', 'Film'), ('fra', 'Son'), ('swe', None)]


@pytest.mark.parametrize('to', ['.mp4', '.mkv'])
def test_marks_are_kept(tmp_path, to):
    source = mix(tmp_path / 'a.mkv', Sound(), Sound(disposition=COMMENT))
    assert rewrite(source, tmp_path / f'b{to}') == ()
    with av.open(str(tmp_path / f'b{to}')) as container:
        assert container.streams.audio[1].disposition & COMMENT
        assert not container.streams.audio[0].disposition & COMMENT
    losses = plan_streams(probe(source), '.mov').losses
    assert losses == (
        "lost in .mov: mark 'comment' of audio stream 2; choose .mkv",
    )


def test_labels_that_do_not_fit_are_named(tmp_path):
    source = mix(
        tmp_path / 'a.mkv',
        Sound(metadata={'language': 'fra', 'colour': 'blue'}),
        metadata={'title': 'A film', 'DIRECTOR': 'Somebody'},
    )
    info = probe(source)
    assert plan_streams(info, '.mkv').losses == ()
    assert plan_streams(info, '.mp4').losses == (
        'lost in .mp4: metadata (DIRECTOR); choose .mkv',
        "lost in .mp4: colour 'blue' of audio stream 1; choose .mkv",
    )
    rewrite(source, tmp_path / 'b.mov')  # holds metadata of any name
    with av.open(str(tmp_path / 'b.mov')) as container:
        assert container.metadata['DIRECTOR'] == 'Somebody'
        assert container.metadata['title'] == 'A film'


@pytest.mark.parametrize('to', ['.mov', '.mp4', '.mkv'])
def test_a_timecode_is_kept(tmp_path, to):
    code = {'timecode': '01:02:03:04'}
    source = mix(tmp_path / 'a.mov', Sound(), picture=code)
    assert rewrite(source, tmp_path / f'b{to}') == ()
    rewrite(tmp_path / f'b{to}', tmp_path / 'c.mov')
    for path in (tmp_path / f'b{to}', tmp_path / 'c.mov'):
        with av.open(str(path)) as container:
            labels = container.streams.video[0].metadata
            assert labels.get('timecode', labels.get('TIMECODE')) == (
                '01:02:03:04'
            )
    losses = plan_streams(probe(source), '.ts').losses
    assert losses == ('lost in .ts: metadata (timecode); choose .mkv',)


@pytest.mark.parametrize('to', ['.mp4', '.mkv', '.ts', '.mov'])
def test_other_pictures_are_copied(tmp_path, to):
    source = mix(tmp_path / 'a.mkv', Sound(), prepare=second_picture)
    rewrite(source, tmp_path / f'b{to}')

    def second(path):
        with av.open(str(path)) as container:
            first = next(container.decode(video=0)).time
        with av.open(str(path)) as container:
            return [
                (round(f.time - first, 2), f.to_ndarray(format='gray').mean())
                for f in container.decode(container.streams.video[1])
            ]

    assert len(second(source)) == 20
    assert second(tmp_path / f'b{to}') == second(source)
    for suffix in ('.webm', '.avi'):
        lost = f'lost in {suffix}: video stream 2 (h264); choose .mkv'
        assert lost in plan_streams(probe(source), suffix).losses


def test_data_goes_where_it_is_read_again(tmp_path):
    def klv(output):
        stream = output.add_data_stream('klv')
        stream.time_base = MS

        def write():
            packet = av.Packet(b'\x06\x0e\x2b\x34' + bytes(20))
            packet.stream, packet.time_base = stream, MS
            packet.pts = packet.dts = 400
            output.mux(packet)

        return write

    source = mix(tmp_path / 'a.ts', Sound(), codec='mpeg2video', prepare=klv)
    assert plan_streams(probe(source), '.ts').routes == (Route(1), Route(2))
    rewrite(source, tmp_path / 'b.ts')
    old, new = (packets(tmp_path / n, 'data') for n in ('a.ts', 'b.ts'))
    assert [data for _, data in new] == [data for _, data in old]
    losses = plan_streams(probe(source), '.mp4').losses
    assert losses == ('lost in .mp4: data stream 2 (klv); choose .ts',)
