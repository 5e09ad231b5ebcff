"""Memory that runs out in the middle of a clip."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from star.apis import FileOptions, restore_video
from star.apis.inference import out_of_memory
from star.apis.inference.file_options import MemoryRules
from star.apis.inference.journal import open_journal
from star.apis.inference.out_of_memory import (
    MemoryLimitError,
    MemoryWatch,
    is_out_of_memory,
    keep_smaller,
    next_smaller,
    read_smaller,
)
from tests.test_apis.clips import read_clip, write_clip
from tests.test_models.fakes import Listener, PixelBackbone, fake_model

LOSSLESS = FileOptions(codec='ffv1', pix_fmt='bgr0', cuts='none')
PLANNED = replace(LOSSLESS, memory=MemoryRules())
NO_MEMORY = RuntimeError("DefaultCPUAllocator: can't allocate memory")


class Failing(PixelBackbone):
    """Has no memory for large tiles, from a number of calls on."""

    calls, largest, begin = 0, 16, 2
    error: Exception = NO_MEMORY

    def forward(self, z_t, t, text, control):
        type(self).calls += 1
        if self.calls > self.begin and z_t.shape[-1] > self.largest:
            raise self.error
        return super().forward(z_t, t, text, control)


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('star.apis.inference.planning._TILES', (32, 16, 8))
    monkeypatch.setattr('star.apis.inference.planning._FINE', 8)
    monkeypatch.setattr('star.models.restoration.restoration.SEGMENT_BYTES', 1)
    monkeypatch.setattr('star.models.restoration.restoration.WEIGHT_SHARE', 0)
    monkeypatch.setattr('star.apis.inference.piecewise.LONG_SEGMENT', 1)
    monkeypatch.setattr(Failing, 'calls', 0)


def failing_model(**options):
    return fake_model(Failing, window=6, overlap=2, tile_overlap=4, **options)


@pytest.mark.parametrize(
    'error',
    [NO_MEMORY, MemoryError(), torch.OutOfMemoryError('CUDA: no memory')],
)
def test_a_clip_goes_on_with_smaller_tiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """All frames come out, and those before are not restored again."""
    monkeypatch.setattr(Failing, 'error', error)
    src = write_clip(tmp_path / 'in.mkv', 14)
    report = restore_video(
        failing_model(), src, tmp_path / 'out.mkv', files=PLANNED
    )
    assert report.frames == 14
    (note,) = [n for n in report.notes if 'memory ran out' in n]
    assert '--tile 16' in note and 'from frame 4 on' in note
    out, *_ = read_clip(tmp_path / 'out.mkv')
    monkeypatch.setattr(Failing, 'begin', 10**9)
    restore_video(failing_model(), src, tmp_path / 'ref.mkv', files=PLANNED)
    expected, *_ = read_clip(tmp_path / 'ref.mkv')
    # the network sees each pixel by itself, so tiles change no result
    assert len(out) == len(expected) == 14
    for ours, theirs in zip(out, expected, strict=True):
        assert abs(ours.astype(int) - theirs).max() <= 1


def test_without_rules_or_with_fixed_options_it_fails(
    tmp_path: Path,
) -> None:
    src = write_clip(tmp_path / 'in.mkv', 8)
    fixed = MemoryRules(fixed=('tile', 'window'))
    for files in (LOSSLESS, replace(LOSSLESS, memory=fixed)):
        with pytest.raises(RuntimeError, match="can't allocate"):
            restore_video(
                failing_model(), src, tmp_path / 'out.mkv', files=files
            )


def test_other_errors_are_not_caught(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(Failing, 'error', RuntimeError('a defect'))
    src = write_clip(tmp_path / 'in.mkv', 8)
    with pytest.raises(RuntimeError, match='a defect'):
        restore_video(
            failing_model(), src, tmp_path / 'out.mkv', files=PLANNED
        )


def test_a_limit_is_watched(tmp_path, monkeypatch) -> None:
    """The process takes too much until tiles are smaller."""
    model = failing_model()
    monkeypatch.setattr(Failing, 'begin', 10**9)
    used = iter([100] * 6 + [5000] + [100] * 1000)
    monkeypatch.setattr(out_of_memory, 'memory_of_process', lambda: next(used))
    src = write_clip(tmp_path / 'in.mkv', 14)
    files = replace(LOSSLESS, memory=MemoryRules(limit=1000))
    report = restore_video(model, src, tmp_path / 'out.mkv', files=files)
    assert report.frames == 14
    assert any('memory ran out' in note for note in report.notes)


def test_the_watch_passes_events_on() -> None:
    listener = Listener()
    watch = MemoryWatch(listener, 1)
    watch.progress('read', 1, 2)  # nothing is restored yet
    watch.note('a note')
    with pytest.raises(MemoryLimitError, match='the limit is'):
        watch.progress('denoise', 1, 2)
    assert listener.told == [('read', 1, 2), ('denoise', 1, 2)]
    assert listener.notes == ['a note']


def test_little_free_memory_is_noticed(monkeypatch) -> None:
    monkeypatch.setattr(out_of_memory, 'free_memory', lambda _: 5 << 20)
    with pytest.raises(MemoryLimitError, match='only 5 MiB are free'):
        MemoryWatch(None, None).progress('decode', 1, None)


def test_the_smaller_options_are_kept(tmp_path: Path) -> None:
    model = failing_model()
    own = model.restore_options
    smaller = replace(own, tile=(16, 24))
    with open_journal(tmp_path / 'out.mkv') as journal:
        assert read_smaller(journal, {'a': 1}, own) == (own, -1)
        keep_smaller(journal, {'a': 1}, smaller)
        assert read_smaller(journal, {'a': 1}, own) == (smaller, 0)
        assert read_smaller(journal, {'a': 2}, own) == (own, -1)


def test_windows_become_shorter_but_keep_their_overlap() -> None:
    model = failing_model(tile=8)
    options, seen = model.restore_options, []
    while options is not None:
        seen.append((options.window, options.overlap, options.tile))
        options = next_smaller(model, options, (20, 14), MemoryRules())
    assert seen == [(6, 2, 8), (3, 2, 8)]


def test_kinds_of_errors() -> None:
    assert is_out_of_memory(NO_MEMORY) and is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError('shape'))
