"""A restoration that was stopped goes on, and gives the same bytes."""

import errno
import os
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import torch

from star.apis import FileOptions, init_model, restore_video
from star.apis.inference import piecewise
from star.apis.inference.journal import (
    Journal,
    count_kept,
    journal_folder,
    open_journal,
)
from star.apis.inference.journal_records import Position
from star.apis.inference.piecewise import StoppedError
from star.apis.inference.sidecar import sidecar_path
from star.models.editors import Bicubic
from star.models.restoration.resuming import ResumePoint
from star.utils import files
from star.video.io import VideoError
from tests.test_apis.clips import write_clip
from tests.test_models.fakes import Listener

COUNT = 10


class Breaking(Bicubic):
    """Enlarges; fails at one frame, counted over all of its work."""

    def __init__(self, fail_at: int | None = None) -> None:
        super().__init__(2)
        self.fail_at, self.worked = fail_at, 0

    def enlarge(self, frames, size):
        if self.worked == self.fail_at:
            raise ValueError('the model gave up')
        self.worked += len(frames)
        return super().enlarge(frames, size)


@pytest.fixture(autouse=True)
def short_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """End a piece after two frames."""
    monkeypatch.setattr(piecewise, 'LONG_PIECE', 2)


@pytest.fixture
def src(tmp_path: Path) -> Path:
    return write_clip(tmp_path / 'in.mkv', COUNT, (16, 12))


@pytest.fixture
def expected(src: Path, tmp_path: Path) -> bytes:
    """Return the bytes of a result that was not interrupted."""
    restore_video(Breaking(), src, tmp_path / 'whole.mp4')
    return (tmp_path / 'whole.mp4').read_bytes()


def fail(src: Path, dst: Path, at: int = 5, **kwargs) -> None:
    with pytest.raises(ValueError, match='gave up'):
        restore_video(Breaking(at), src, dst, **kwargs)


@pytest.mark.parametrize('at', [2, 5, 9])
def test_only_the_open_piece_is_lost(src, tmp_path, expected, at):
    dst = tmp_path / 'out.mp4'
    fail(src, dst, at)
    assert not dst.exists()
    assert count_kept(dst) == at // 2 * 2
    model, listener = Breaking(), Listener()
    report = restore_video(model, src, dst, events=listener)
    assert model.worked == COUNT - at // 2 * 2
    assert report.kept == at // 2 * 2
    assert (report.frames, report.skipped) == (COUNT, False)
    assert ('decode', report.kept, COUNT) in listener.told
    assert not any(stage == 'read' for stage, _, _ in listener.told)
    assert dst.read_bytes() == expected
    assert not journal_folder(dst).exists()


def test_the_record_does_not_depend_on_interruptions(src, tmp_path, expected):
    dst = tmp_path / 'again' / 'whole.mp4'
    for at in (2, 3):
        fail(src, dst, at)
    report = restore_video(Breaking(), src, dst)
    assert report.notes[0] == '4 frames were restored by an earlier run'
    records = [sidecar_path(p) for p in (dst, tmp_path / 'whole.mp4')]
    assert records[0].read_bytes() == records[1].read_bytes()
    assert restore_video(Breaking(), src, dst).notes == report.notes[1:]


def test_what_a_killed_process_left_is_removed(src, tmp_path, expected):
    dst = tmp_path / 'whole.mp4'
    aside = tmp_path / '.whole.mp4.part-0123abcd'
    aside.mkdir()
    journal_folder(dst).mkdir()
    assert restore_video(Breaking(), src, dst).skipped
    assert not aside.exists() and not journal_folder(dst).exists()


def test_a_file_in_place_of_the_journal_is_named(src, tmp_path):
    journal_folder(tmp_path / 'out.mp4').write_text('precious')
    with pytest.raises(VideoError, match=r'\.out\.mp4\.star: is no folder'):
        restore_video(Breaking(), src, tmp_path / 'out.mp4')


@pytest.mark.parametrize('name', ['000001.piece', 'journal.json'])
def test_folders_in_place_of_files_are_replaced(src, tmp_path, expected, name):
    dst = tmp_path / 'out.mp4'
    fail(src, dst)
    path = journal_folder(dst) / name
    path.unlink()
    path.mkdir()
    report = restore_video(Breaking(), src, dst)
    assert dst.read_bytes() == expected
    lost = 'for these have changed: everything' in ' '.join(report.notes)
    assert lost == (name == 'journal.json')


def test_a_complete_result_is_left_alone(src, tmp_path, expected):
    dst = tmp_path / 'whole.mp4'
    before = dst.stat().st_mtime_ns
    model = Breaking()
    for options in (FileOptions(), FileOptions(overwrite=True)):
        report = restore_video(model, src, dst, files=options)
        assert (report.skipped, report.frames) == (True, COUNT)
    assert (model.worked, dst.stat().st_mtime_ns) == (0, before)
    dst.write_bytes(expected[:-1])  # it is no longer what was written
    with pytest.raises(VideoError, match='--overwrite'):
        restore_video(model, src, dst)
    restore_video(model, src, dst, files=FileOptions(overwrite=True))
    assert dst.read_bytes() == expected


@pytest.mark.parametrize('name', ['000001.piece', '000001.point'])
@pytest.mark.parametrize('place', [40, -40])
def test_damaged_pieces_are_made_again(src, tmp_path, expected, name, place):
    dst = tmp_path / 'out.mp4'
    fail(src, dst)
    path = journal_folder(dst) / name
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    report = restore_video(Breaking(), src, dst)
    assert report.kept == 2
    assert dst.read_bytes() == expected


def test_what_has_changed_is_named(src, tmp_path):
    dst = tmp_path / 'out.mp4'
    fail(src, dst)
    options = replace(Breaking().restore_options, scale=3)
    report = restore_video(Breaking(), src, dst, options)
    assert report.kept == 0
    (note,) = [n for n in report.notes if 'changed' in n]
    assert 'scale 2 -> 3' in note


def test_a_changed_input_starts_anew(src, tmp_path):
    dst = tmp_path / 'out.mp4'
    fail(src, dst)
    src.unlink()
    write_clip(src, COUNT - 1, (16, 12))
    report = restore_video(Breaking(), src, dst)
    assert (report.kept, report.frames) == (0, COUNT - 1)
    assert any('changed: input' in note for note in report.notes)


def test_changed_weights_start_anew(src, tmp_path):
    class Weighted(Breaking):
        def __init__(self, value: float, fail_at: int | None = None) -> None:
            super().__init__(fail_at)
            self.weight = torch.nn.Parameter(torch.tensor(value))

    dst = tmp_path / 'out.mp4'
    with pytest.raises(ValueError, match='gave up'):
        restore_video(Weighted(1.0, 5), src, dst)
    assert restore_video(Weighted(1.0), src, dst).kept == 4
    report = restore_video(
        Weighted(2.0), src, dst, files=FileOptions(overwrite=True)
    )
    assert not report.skipped


def test_a_changed_config_is_no_complete_result(src, tmp_path):
    config, dst = tmp_path / 'mine.py', tmp_path / 'out.mp4'
    for number, argument in enumerate(('', ', clean_threshold=5', '')):
        config.write_text(
            "custom_imports = dict(imports=['tests.test_apis.clips'])\n"
            f"model = dict(type='Tidied'{argument})\n"
        )
        model = init_model(config)
        files = FileOptions(overwrite=True)
        assert not restore_video(model, src, dst, files=files).skipped, number
        assert restore_video(model, src, dst, files=files).skipped


def test_options_that_do_not_matter_go_on(src, tmp_path, expected):
    dst = tmp_path / 'out.mp4'
    fail(src, dst)
    changed = FileOptions(overwrite=True, strict_streams=True)
    assert restore_video(Breaking(), src, dst, files=changed).kept == 4
    assert dst.read_bytes() == expected


def test_stops_at_a_time_and_goes_on(src, tmp_path, expected):
    dst = tmp_path / 'out.mp4'
    past = datetime.now() - timedelta(minutes=1)
    for kept in (2, 4):  # a piece at a time
        with pytest.raises(StoppedError, match=f'{past:%H:%M}'):
            restore_video(Breaking(), src, dst, files=FileOptions(until=past))
        assert count_kept(dst) == kept
    later = FileOptions(until=datetime.now() + timedelta(hours=1))
    assert restore_video(Breaking(), src, dst, files=later).kept == 4
    assert dst.read_bytes() == expected


def test_a_full_disk_loses_nothing(src, tmp_path, expected, monkeypatch):
    dst, count = tmp_path / 'out.mp4', 0
    sync = os.fsync

    def full(descriptor: int) -> None:
        nonlocal count
        count += 1
        if count > 12:
            raise OSError(errno.ENOSPC, 'No space left on device')
        sync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, 'fsync', full)
        with pytest.raises(VideoError) as caught:
            restore_video(Breaking(), src, dst)
    text = str(caught.value)
    assert text == f'{dst}: cannot be written (No space left on device)'
    kept = count_kept(dst)
    assert 0 < kept < COUNT
    assert restore_video(Breaking(), src, dst).kept == kept
    assert dst.read_bytes() == expected


def test_a_second_process_is_told_who_is_first(src, tmp_path):
    dst = tmp_path / 'out.mp4'
    hold = (
        'import sys, time\n'
        'from pathlib import Path\n'
        'from star.apis.inference.journal import open_journal\n'
        f'with open_journal(Path({str(dst)!r})):\n'
        '    print("held", flush=True)\n'
        '    sys.stdin.read()\n'
    )
    first = subprocess.Popen(
        [sys.executable, '-c', hold],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert first.stdout is not None
        assert first.stdout.readline() == 'held\n'
        with pytest.raises(VideoError, match=f'process {first.pid} on '):
            restore_video(Breaking(), src, dst)
    finally:
        first.communicate('')
    assert restore_video(Breaking(), src, dst).frames == COUNT


def test_memory_is_read_as_it_was_written(tmp_path):
    tensors = {
        'a.b': torch.randn(3, 4).transpose(0, 1),
        'half': torch.randn(5).to(torch.bfloat16),
        'none': torch.zeros(2, 0),
        'deep': torch.tensor([65535, 7]).to(torch.uint16),
    }
    point = ResumePoint(5, 7, tensors)
    meter = {'count': torch.tensor(3)}
    coder_piece = _piece()
    with open_journal(tmp_path / 'a.mp4') as journal:
        journal.load({'a': 1})
        journal.add(*coder_piece, Position(20, point, meter))
        again = Journal(journal.folder)
        assert again.load({'a': 1}) == []
    found = again.position
    assert (found.scene, found.frame, found.done) == (20, 25, 27)
    assert found.point is not None
    for name, tensor in tensors.items():
        assert torch.equal(found.point.tensors[name], tensor)
        assert found.point.tensors[name].dtype == tensor.dtype
    assert int(found.meter['count']) == 3
    assert again.read(0) == coder_piece[0]


def _piece():
    from fractions import Fraction

    from star.apis.inference.journal_records import PieceRecord
    from star.video.coded import CodedFrame, CodedPiece

    frames = (CodedFrame(3, Fraction(1, 3), Fraction(1, 30)),)
    record = PieceRecord(frames, b'head', ({'psnr': 1.5},), (0,), ('a',))
    return CodedPiece(frames, b'abc', b'head'), record
