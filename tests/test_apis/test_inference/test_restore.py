import os
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from star.apis import FileOptions, restore_video
from star.models.restoration.options import RestoreOptions
from star.video.io import VideoError
from tests.test_apis.clips import (
    Enlarger,
    add_tone,
    audio_packets,
    read_clip,
    write_clip,
)
from tests.test_models.fakes import Listener

LOSSLESS = FileOptions(codec='ffv1', pix_fmt='bgr0')


@pytest.mark.parametrize('count', [1, 2, 3, 7])
def test_frames_and_times_are_those_of_the_input(
    tmp_path: Path, count: int
) -> None:
    src = write_clip(tmp_path / 'in.mkv', count)
    dst = tmp_path / 'out.mkv'
    report = restore_video(Enlarger(), src, dst, files=LOSSLESS)
    before, times_before = read_clip(src)
    after, times_after = read_clip(dst)
    assert times_after == times_before
    np.testing.assert_array_equal(
        after, before.repeat(4, axis=1).repeat(4, axis=2)
    )
    assert report.frames == count
    assert (report.input_size, report.output_size) == ((32, 24), (128, 96))
    assert report.frames_per_second == pytest.approx(count / report.seconds)
    assert 1 << 20 < report.peak_memory < 1 << 40


def test_first_frames_only(tmp_path: Path) -> None:
    src = write_clip(tmp_path / 'in.mkv', 6)
    dst = tmp_path / 'out.mkv'
    report = restore_video(
        Enlarger(), src, dst, files=replace(LOSSLESS, frames=4)
    )
    assert report.frames == 4
    assert len(read_clip(dst)[0]) == 4


def test_options_take_the_place_of_the_models(tmp_path: Path) -> None:
    src = write_clip(tmp_path / 'in.mkv')
    report = restore_video(
        Enlarger(), src, tmp_path / 'out.mkv', RestoreOptions(scale=1.5)
    )
    assert report.output_size == (48, 36)


def test_audio_is_copied(tmp_path: Path) -> None:
    silent = write_clip(tmp_path / 'silent.mp4')
    src = add_tone(silent, tmp_path / 'in.mp4')
    dst = tmp_path / 'out.mp4'
    restore_video(Enlarger(), src, dst)
    assert len(audio_packets(src)) > 10
    assert audio_packets(dst) == audio_packets(src)


def test_same_bytes_again(tmp_path: Path) -> None:
    src = write_clip(tmp_path / 'in.mkv')
    results = [tmp_path / 'a.mp4', tmp_path / 'b.mp4']
    for dst in results:
        restore_video(Enlarger(), src, dst)
    assert results[0].read_bytes() == results[1].read_bytes()


def test_folder_in_folder_out(tmp_path: Path) -> None:
    src = write_clip(tmp_path / 'in.mkv', 3)
    restore_video(Enlarger(), src, tmp_path / 'big')
    assert len(list((tmp_path / 'big').iterdir())) == 3
    report = restore_video(Enlarger(), tmp_path / 'big', tmp_path / 'bigger')
    assert report.output_size == (512, 384)
    after, _ = read_clip(tmp_path / 'bigger')
    before, _ = read_clip(src)
    np.testing.assert_array_equal(after[:, ::16, ::16], before)


def test_one_image(tmp_path: Path) -> None:
    src = write_clip(tmp_path / 'in.mkv', 1)
    restore_video(Enlarger(), src, tmp_path / 'out.png')
    assert read_clip(tmp_path / 'out.png')[0].shape == (1, 96, 128, 3)


@pytest.mark.parametrize('fail_after', [0, 2, 4])
@pytest.mark.parametrize('name', ['new/deep/out.mp4', 'out.mkv', 'folder'])
def test_failure_leaves_nothing(
    tmp_path: Path, fail_after: int, name: str
) -> None:
    src = write_clip(tmp_path / 'in.mkv')
    model = Enlarger(piece=1, fail_after=fail_after)
    with pytest.raises(ValueError, match='gave up'):
        restore_video(model, src, tmp_path / name)
    assert os.listdir(tmp_path) == ['in.mkv']


class Untouched(Enlarger):
    """Fails the test when it is asked to work."""

    def restore_stream(self, *args: object) -> None:
        raise AssertionError('the long work was begun')


@pytest.mark.parametrize(
    ('name', 'files', 'reason'),
    [
        ('there.mp4', FileOptions(), 'exists'),
        ('in.mkv', FileOptions(overwrite=True), 'same'),
        ('out.mp4', FileOptions(codec='nonsense'), 'nonsense'),
        ('out.mp4', FileOptions(pix_fmt='nonsense'), 'nonsense'),
        ('out.nonsense', FileOptions(), 'nonsense'),
        ('new/out.mp4', FileOptions(codec='nonsense'), 'nonsense'),
        ('out.png', FileOptions(), 'cannot hold 5 frames'),
    ],
)
def test_what_cannot_be_written_is_refused_at_once(
    tmp_path: Path, name: str, files: FileOptions, reason: str
) -> None:
    src = write_clip(tmp_path / 'in.mkv')
    (tmp_path / 'there.mp4').write_text('precious')
    with pytest.raises(VideoError, match=reason):
        restore_video(Untouched(), src, tmp_path / name, files=files)
    assert sorted(os.listdir(tmp_path)) == ['in.mkv', 'there.mp4']
    assert (tmp_path / 'there.mp4').read_text() == 'precious'


def test_damaged_input_is_refused_at_once(tmp_path: Path) -> None:
    src = write_clip(tmp_path / 'in.mkv')
    data = bytearray(src.read_bytes())
    src.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(VideoError, match='--allow-partial'):
        restore_video(Untouched(), src, tmp_path / 'out.mkv')
    files = replace(LOSSLESS, allow_partial=True)
    report = restore_video(Enlarger(), src, tmp_path / 'out.mkv', files=files)
    assert 1 <= report.frames < 5
    assert len(read_clip(tmp_path / 'out.mkv')[0]) == report.frames
    assert report.notes


def test_overwrite(tmp_path: Path) -> None:
    src = write_clip(tmp_path / 'in.mkv')
    dst = tmp_path / 'out.mp4'
    dst.write_text('old')
    restore_video(Enlarger(), src, dst, files=FileOptions(overwrite=True))
    assert len(read_clip(dst)[0]) == 5


def test_a_model_that_loses_frames_is_found_out(tmp_path: Path) -> None:
    class Loser(Enlarger):
        def restore_stream(self, frames, options=None, events=None):
            for piece in super().restore_stream(frames, options):
                yield piece[:1]

    src = write_clip(tmp_path / 'in.mkv')
    with pytest.raises(AssertionError, match='lost'):
        restore_video(Loser(), src, tmp_path / 'out.mkv')
    assert os.listdir(tmp_path) == ['in.mkv']


def test_frames_are_let_go(tmp_path: Path) -> None:
    alive: list[weakref.ref] = []
    most = 0

    class Watcher(Enlarger):
        def enlarge(self, frame: Tensor, scale: float) -> Tensor:
            nonlocal most
            alive.append(weakref.ref(frame))
            most = max(most, sum(ref() is not None for ref in alive))
            return super().enlarge(frame, scale)

    src = write_clip(tmp_path / 'in.mkv', 12)
    restore_video(Watcher(), src, tmp_path / 'out.mkv')
    assert len(alive) == 12
    assert most <= 2


def test_progress_gets_the_total_and_notes_are_kept(tmp_path: Path) -> None:
    class Talker(Enlarger):
        def restore_stream(self, frames, options=None, events=None):
            events.note('prompt too long')
            events.progress('encode', 3, None)
            yield from super().restore_stream(frames, options)

    src = write_clip(tmp_path / 'in.mkv')
    listener = Listener()
    report = restore_video(
        Talker(), src, tmp_path / 'out.mkv', events=listener
    )
    (stage, done, _), *told = listener.told  # the file's count is a guess
    assert (stage, done) == ('read', 0)
    assert told == [('decode', 0, 5), ('encode', 3, 5)]
    assert listener.notes == ['prompt too long']
    assert 'prompt too long' in report.notes


def test_options_that_the_model_lacks_are_refused_at_once(
    tmp_path: Path,
) -> None:
    class Picky(Untouched):
        def check_options(self, options: RestoreOptions) -> None:
            raise ValueError(f'`scale` must be 4, got {options.scale}')

    with pytest.raises(ValueError, match='`scale` must be 4, got 2'):
        restore_video(
            Picky(), tmp_path / 'no', tmp_path / 'o', RestoreOptions(scale=2)
        )
