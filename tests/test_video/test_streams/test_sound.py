"""Tests of sound that a container cannot hold: kept in step, or named."""

from fractions import Fraction

import av
import numpy as np
import pytest

from star.video.io import VideoReader, probe
from star.video.streams.plan import Route, plan_streams
from tests.test_video.clips import packets
from tests.test_video.mixed_clips import CLICKS, Sound, clicks, mix, rewrite

CLOSE = 0.005  # seconds; Opus and MPEG audio spread a click by less

# source's container, picture's codec and sound; result; codec in the result
PAIRS = [
    ('.avi', 'mpeg4', 'pcm_s16le', '.mp4', 'aac'),
    ('.avi', 'mpeg4', 'pcm_s16le', '.mkv', 'pcm_s16le'),
    ('.avi', 'mpeg4', 'pcm_mulaw', '.mkv', 'flac'),
    ('.avi', 'mpeg4', 'adpcm_ms', '.mp4', 'aac'),
    ('.avi', 'mpeg4', 'adpcm_ms', '.avi', 'pcm_s16le'),
    ('.vob', 'mpeg2video', 'pcm_dvd', '.mp4', 'aac'),
    ('.vob', 'mpeg2video', 'pcm_dvd', '.mkv', 'flac'),
    ('.vob', 'mpeg2video', 'pcm_dvd', '.mov', 'pcm_s16le'),
    ('.m2ts', 'mpeg2video', 'pcm_bluray', '.mkv', 'flac'),
    ('.mkv', 'mpeg4', 'vorbis', '.mp4', 'aac'),
    ('.mkv', 'mpeg4', 'libopus', '.mov', 'aac'),
    ('.mkv', 'mpeg4', 'flac', '.mp4', 'flac'),
    ('.mkv', 'mpeg4', 'ac3', '.webm', 'opus'),
    ('.mkv', 'mpeg4', 'ac3', '.3gp', 'aac'),
    ('.mkv', 'mpeg4', 'flac', '.ts', 'aac'),
    ('.mkv', 'mpeg4', 'eac3', '.mpg', 'ac3'),
    ('.mkv', 'mpeg4', 'aac', '.avi', 'pcm_s16le'),
    ('.wmv', 'wmv2', 'wmav2', '.mp4', 'aac'),
    ('.wmv', 'wmv2', 'wmav2', '.mkv', 'flac'),
    ('.ts', 'mpeg2video', 'aac', '.mkv', 'aac'),
    ('.ts', 'mpeg2video', 'mp2', '.webm', 'opus'),
]


def sound_of(path):
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        return stream.codec_context.codec.canonical_name


@pytest.mark.parametrize(('suffix', 'picture', 'codec', 'to', 'new'), PAIRS)
def test_every_click_stays_where_it_was(
    tmp_path, suffix, picture, codec, to, new
):
    source = mix(tmp_path / f'a{suffix}', Sound(codec), codec=picture)
    target = tmp_path / f'b{to}'
    notes = [n for n in rewrite(source, target) if 'audio' in n]
    assert sound_of(target) == new
    times, channels, rate = clicks(target)
    assert np.abs(np.subtract(times, CLICKS)).max() < CLOSE
    assert (channels, rate) == (2, 48000)
    assert len(notes) == (new != codec.removeprefix('lib'))


@pytest.mark.parametrize('layout', ['mono', '5.1(side)', '7.1'])
@pytest.mark.parametrize('to', ['.mp4', '.webm'])
def test_channels_are_kept(tmp_path, layout, to):
    source = mix(tmp_path / 'a.avi', Sound('pcm_s16le', layout=layout))
    rewrite(source, tmp_path / f'b{to}')
    times, channels, _ = clicks(tmp_path / f'b{to}')
    assert channels == av.AudioLayout(layout).nb_channels
    assert np.abs(np.subtract(times, CLICKS)).max() < CLOSE


@pytest.mark.parametrize(
    ('rate', 'to', 'new'),
    [
        (22050, '.mp4', 22050),
        (44100, '.webm', 48000),
        (96000, '.mp4', 96000),
        (192000, '.mp4', 96000),
        (11025, '.mpg', 32000),
    ],
)
def test_the_rate_is_kept_where_the_codec_has_it(tmp_path, rate, to, new):
    source = mix(tmp_path / 'a.mkv', Sound('pcm_s16le', rate=rate))
    notes = rewrite(source, tmp_path / f'b{to}')
    times, _, found = clicks(tmp_path / f'b{to}')
    assert found == new
    assert np.abs(np.subtract(times, CLICKS)).max() < CLOSE
    changed = 'become' in ''.join(notes)
    assert changed == (rate not in (22050, 96000))


@pytest.mark.parametrize('to', ['.mp4', '.mkv', '.webm', '.avi', '.ts'])
@pytest.mark.parametrize('codec', ['pcm_s16le', 'aac'])
def test_a_late_start_stays(tmp_path, codec, to):
    source = mix(tmp_path / 'a.mkv', Sound(codec, start=0.3, seconds=1.6))
    rewrite(source, tmp_path / f'b{to}')
    times, _, _ = clicks(tmp_path / f'b{to}')
    assert np.abs(np.subtract(times, CLICKS)).max() < CLOSE


@pytest.mark.parametrize('codec', ['pcm_s16le', 'aac', 'flac'])
@pytest.mark.parametrize(
    ('to', 'picture'), [('.ogv', 'libvpx'), ('.mxf', 'mpeg2video')]
)
def test_sound_shorter_than_its_picture_is_silent_around(
    tmp_path, codec, to, picture
):
    source = mix(tmp_path / 'a.mkv', Sound(codec, start=0.3, seconds=1.3))
    rewrite(source, tmp_path / f'b{to}', codec=picture)
    times, _, _ = clicks(tmp_path / f'b{to}')
    assert np.abs(np.subtract(times, CLICKS)).max() < CLOSE
    assert len(packets(tmp_path / f'b{to}', 'video')) == 50


def test_lossless_sound_written_anew_is_no_news(tmp_path):
    source = mix(tmp_path / 'a.mkv', Sound('pcm_s16le', start=0.3))
    for suffix in ('.avi', '.mxf'):
        plan = plan_streams(probe(source), suffix)
        assert plan.routes == (Route(1, 'pcm_s16le'),)
        assert plan.notes == ()


@pytest.mark.parametrize('to', ['.mkv', '.mov'])
def test_many_small_packets_do_not_stretch_the_sound(tmp_path, to):
    # two in a millisecond of Matroska, as TrueHD has 1.2
    source = mix(tmp_path / 'a.mkv', Sound('pcm_s16le', samples=24))
    rewrite(source, tmp_path / f'b{to}')
    assert sound_of(tmp_path / f'b{to}') == 'pcm_s16le'
    times, _, _ = clicks(tmp_path / f'b{to}')
    assert np.abs(np.subtract(times, CLICKS)).max() < CLOSE


@pytest.mark.parametrize('to', ['.mp4', '.webm'])
def test_a_late_picture_stays(tmp_path, to):
    source = mix(tmp_path / 'a.mkv', Sound('pcm_s16le'), start=0.8)
    rewrite(source, tmp_path / f'b{to}')
    times, _, _ = clicks(tmp_path / f'b{to}')
    assert np.abs(np.subtract(times, np.array(CLICKS) - 0.8)).max() < CLOSE


@pytest.mark.parametrize(
    ('to', 'codec'), [('.avi', 'mpeg4'), ('.mxf', 'mpeg2video')]
)
def test_avi_and_mxf_begin_with_the_picture_and_say_so(tmp_path, to, codec):
    source = mix(tmp_path / 'a.mkv', Sound('aac'), start=0.8)
    plan = plan_streams(probe(source), to)
    assert plan.cut == Fraction('0.8')
    assert plan.losses == (
        f'lost in {to}: 0.8 s of sound before the first picture; choose .mkv',
    )
    rewrite(source, tmp_path / f'b{to}', codec=codec)
    times, _, _ = clicks(tmp_path / f'b{to}')
    assert np.abs(np.subtract(times, [0.2, 0.7])).max() < CLOSE
    with VideoReader(tmp_path / f'b{to}') as reader:
        shown = [frame.time for frame in reader]
    assert shown == [Fraction(i, 25) for i in range(50)]


def test_a_gap_becomes_silence_of_its_length(tmp_path):
    def remove(data):
        return [p for p in data if not 0.7 <= p.pts * p.time_base < 0.9]

    whole = mix(tmp_path / 'a.mkv', Sound('ac3'))
    with (
        av.open(str(whole)) as old,
        av.open(str(tmp_path / 'b.mkv'), 'w') as new,
    ):
        streams = [new.add_stream_from_template(s, True) for s in old.streams]
        for packet in remove([p for p in old.demux() if p.size]):
            packet.stream = streams[packet.stream.index]
            new.mux(packet)
    rewrite(tmp_path / 'b.mkv', tmp_path / 'c.webm')
    times, _, _ = clicks(tmp_path / 'c.webm')
    assert np.abs(np.subtract(times, CLICKS)).max() < CLOSE


def test_encoded_sound_ends_with_the_first_frames(tmp_path):
    source = mix(tmp_path / 'a.mkv', Sound('pcm_s16le'))
    target = tmp_path / 'b.webm'
    rewrite(source, target, num_frames=15, trim_streams=True)
    assert packets(target, 'audio')[-1][0] < 15 / 25


def test_damage_is_silent_and_named(tmp_path):
    source = mix(tmp_path / 'a.mkv', Sound('aac', damaged=(10, 11, 60)))
    notes = rewrite(source, tmp_path / 'b.webm')
    assert notes[-1] == 'audio stream 1 is silent in 3 damaged packets'
    times, _, _ = clicks(tmp_path / 'b.webm')
    assert np.abs(np.subtract(times, CLICKS)).max() < CLOSE


def test_damaged_ac3_does_not_lose_the_result(tmp_path):
    source = mix(tmp_path / 'a.mkv', Sound('ac3', damaged=(5, 6)))
    notes = rewrite(source, tmp_path / 'b.mp4')
    assert notes == ('audio stream 1: 2 damaged packets are left out',)
    times, _, _ = clicks(tmp_path / 'b.mp4')
    assert np.abs(np.subtract(times, CLICKS)).max() < CLOSE


def test_an_empty_stream_does_no_harm(tmp_path):
    def add(output):
        output.add_stream('ac3', rate=48000).codec_context.layout = 'stereo'

    source = mix(tmp_path / 'a.mkv', Sound('aac'), prepare=add)
    for to in ('.mp4', '.webm', '.mkv'):
        rewrite(source, tmp_path / f'b{to}')
        times, _, _ = clicks(tmp_path / f'b{to}')
        assert np.abs(np.subtract(times, CLICKS)).max() < CLOSE


def test_an_unknown_codec_is_a_loss(tmp_path):
    source = mix(tmp_path / 'a.mkv', Sound('aac'), Sound('ac3'))
    data = source.read_bytes()
    source.write_bytes(data.replace(b'A_AC3', b'A_XYZ'))
    plan = plan_streams(probe(source), '.mp4')
    assert plan.routes == (Route(1),)
    assert plan.losses == (
        'lost in .mp4: audio stream 2 (unknown codec); no other container '
        'can hold it',
    )
    rewrite(source, tmp_path / 'b.mp4')
    assert len(clicks(tmp_path / 'b.mp4')[0]) == 3


def test_several_streams_each_in_its_way(tmp_path):
    source = mix(
        tmp_path / 'a.mkv',
        Sound('pcm_s16le', metadata={'language': 'deu', 'title': 'Main'}),
        Sound('flac', layout='5.1', metadata={'language': 'fra'}),
        Sound('aac', layout='mono'),
    )
    plan = plan_streams(probe(source), '.mp4')
    assert plan.routes == (Route(1, 'aac'), Route(2), Route(3))
    assert plan.losses == ()
    rewrite(source, tmp_path / 'b.mp4')
    with av.open(str(tmp_path / 'b.mp4')) as container:
        streams = container.streams.audio
        assert [s.layout.nb_channels for s in streams] == [2, 6, 1]
        languages = [s.metadata['language'] for s in streams]
        assert languages == ['deu', 'fra', 'und']
        assert streams[0].metadata['name'] == 'Main'
    for i in range(3):
        times, _, _ = clicks(tmp_path / 'b.mp4', i)
        assert np.abs(np.subtract(times, CLICKS)).max() < CLOSE


@pytest.mark.parametrize('to', ['.mp4', '.mkv'])
def test_sound_lies_beside_its_picture(tmp_path, to):
    sounds = Sound('pcm_s16le', seconds=6), Sound('aac', seconds=6)
    source = mix(tmp_path / 'a.mkv', *sounds, seconds=6)
    rewrite(source, tmp_path / f'b{to}')
    places = []
    with av.open(str(tmp_path / f'b{to}')) as container:
        for packet in container.demux():
            if packet.size:
                time = float(packet.pts * packet.time_base)
                places.append((packet.pos, packet.stream.index, time))
    reached = dict.fromkeys(range(3), 0.0)
    for _, index, time in sorted(places):
        reached[index] = time
        assert max(reached.values()) - min(reached.values()) < 1
