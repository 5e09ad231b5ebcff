"""`star restore`: what becomes of sound, subtitles and chapters."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from star.cli import restore as command
from tests.test_apis.clips import Enlarger
from tests.test_cli.conftest import Result, Star
from tests.test_video.mixed_clips import (
    CLICKS,
    Sound,
    Text,
    clicks,
    mix,
    texts,
)

Restore = Callable[..., Result]


@pytest.fixture
def restore(monkeypatch: pytest.MonkeyPatch, star: Star) -> Restore:
    """Run `star restore` with a model that is fast."""

    def run(*args: object) -> Result:
        monkeypatch.setattr(command, 'init_model', lambda *_: Enlarger())
        return star('restore', *args, '--scale', 2)

    return run


def test_everything_arrives(restore: Restore, tmp_path: Path) -> None:
    source = mix(
        tmp_path / 'a.mkv',
        Sound('pcm_s16le'),
        Sound('aac', layout='mono'),
        Text('subrip', [(0.2, 0.8, b'one'), (1.0, None, b'two')]),
        chapters=[(0, 1, 'first'), (1, 2, 'second')],
        metadata={'title': 'A film', 'comment': 'of mine'},
    )
    result = restore(source, tmp_path / 'b.mp4', '--strict-streams')
    assert result.code == 0
    notes = [line for line in result.err.splitlines() if 'note:' in line]
    assert 'audio stream 1 (pcm_s16le) is encoded as aac' in notes[0]
    assert 'subtitle stream 3 (subrip) is encoded as mov_text' in notes[1]
    for i, channels in enumerate((2, 1)):
        times, found, _ = clicks(tmp_path / 'b.mp4', i)
        assert found == channels
        assert np.abs(np.subtract(times, CLICKS)).max() < 0.005
    lines = [(0.2, 0.8, 'one'), (1.0, 2.0, 'two')]
    assert texts(tmp_path / 'b.mp4') == lines
    with av.open(str(tmp_path / 'b.mp4')) as container:
        assert container.metadata['title'] == 'A film'
        assert container.metadata['comment'] == 'of mine'
        assert len(container.chapters()) == 2


def test_the_first_frames_end_together(
    restore: Restore, tmp_path: Path
) -> None:
    source = mix(
        tmp_path / 'a.mkv',
        Sound('pcm_s16le'),
        Text('subrip', [(0.2, 1.8, b'one'), (1.4, None, b'two')]),
        chapters=[(0, 0.5, 'first'), (0.5, 1.5, 'next'), (1.5, 2, 'last')],
    )
    assert restore(source, tmp_path / 'b.mp4', '--frames', 25).code == 0
    assert texts(tmp_path / 'b.mp4') == [(0.2, 1.0, 'one')]
    with av.open(str(tmp_path / 'b.mp4')) as container:
        ends = [c['end'] * c['time_base'] for c in container.chapters()]
        assert ends == [0.5, 1.0]
        sound = container.streams.audio[0]
        assert abs(sound.duration * sound.time_base - 1) < 0.03


def test_strict_refuses_before_the_work(
    restore: Restore, tmp_path: Path
) -> None:
    lines = [(0.2, 0.8, b'one')]
    source = mix(tmp_path / 'a.mkv', Sound('aac'), Text('subrip', lines))
    target = tmp_path / 'b.avi'
    result = restore(source, target, '--strict-streams')
    assert result.code == 1
    assert result.err.splitlines()[-1] == (
        f'error: {source}: lost in .avi: subtitle stream 2 (subrip); '
        'choose .mkv'
    )
    assert not target.exists()
    result = restore(source, tmp_path / 'b.gif', '--strict-streams')
    assert result.code == 1
    assert 'audio and subtitles are not kept in an image' in result.err
    result = restore(source, target)
    assert result.code == 0
    assert 'lost in .avi: subtitle stream 2' in result.err
