"""Scenes that are restored apart give the bytes of the clip as a whole."""

import os
from collections.abc import Callable
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from star.apis import FileOptions, restore_video
from star.apis.inference import piecewise
from star.apis.inference.build import take_random
from star.apis.inference.journal import (
    count_kept,
    journal_folder,
    open_journal,
)
from star.apis.inference.piecewise import StoppedError
from star.apis.inference.scenes import (
    SceneRange,
    open_scenes,
    plan_ranges,
)
from star.apis.inference.sidecar import sidecar_path
from star.apis.inference.task import RestoreTask
from star.models.editors import Bicubic
from star.models.editors.real_viformer.real_viformer import (
    RealViformer,
    RealViformerNet,
)
from star.utils.files import read_json
from star.video.io import VideoError, VideoReader, VideoWriter
from tests.test_models.fakes import Listener, small_model

CUTS = (5, 9, 14)  # first frames of scenes; the clip has 20


@pytest.fixture(autouse=True)
def short_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(piecewise, 'LONG_PIECE', 3)
    monkeypatch.setattr(piecewise, 'LONG_SEGMENT', 2)


def write_noise(path: Path) -> Path:
    chance = np.random.default_rng(3)
    with VideoWriter(path, 12, 8, codec='ffv1', pix_fmt='bgr0') as writer:
        for i in range(20):
            image = chance.integers(0, 255, (8, 12, 3), dtype=np.uint8)
            writer.write(image, Fraction(i, 25), Fraction(1, 25))
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    (tmp_path / 'cuts.txt').write_text('\n'.join(map(str, CUTS)))
    return write_noise(tmp_path / 'in.mkv')


def make_task(model: Any, src: Path, dst: Path, files: FileOptions) -> Any:
    reader = VideoReader(src)
    return RestoreTask(model, reader, model.restore_options, files, dst)


def options(src: Path, **others: Any) -> FileOptions:
    return FileOptions(cuts=src.parent / 'cuts.txt', **others)


def bicubic() -> Any:
    return Bicubic(2)


def recurrent() -> Any:
    """Carry the memory of a network from piece to piece."""
    model = RealViformer()
    model.network = RealViformerNet(16, (1, 1, 1, 1), (1, 2, 2))
    take_random(model)
    return model.eval()


def diffusion() -> Any:
    return small_model(window=4, overlap=2, seed=3, mode='normal', steps=2)


@pytest.mark.parametrize(
    ('name', 'make'),
    [
        ('out.mkv', bicubic),
        ('frames', bicubic),
        ('out.mp4', recurrent),
        pytest.param('out.mkv', diffusion, marks=pytest.mark.slow),
    ],
)
def test_ranges_in_any_order(
    tmp_path: Path, clip: Path, name: str, make: Callable
) -> None:
    model, files = make(), options(clip)
    if name == 'frames':
        files = options(clip, codec='png')
    for place in 'alone', 'shared':
        (tmp_path / place).mkdir()
    alone, shared = (tmp_path / place / name for place in ('alone', 'shared'))
    restore_video(model, clip, alone, files=files)
    ranges = make_task(model, clip, shared, files).plan_scenes(4)
    assert ranges == [SceneRange(*x) for x in ((0, 5), (5, 14), (14, 20))]
    for each in reversed(ranges):
        make_task(model, clip, shared, files).restore_scenes(each, None)
    assert count_kept(shared) == 20
    events = Listener()
    report = restore_video(model, clip, shared, files=files, events=events)
    assert report.kept == 20
    assert read_json(sidecar_path(alone)) == read_json(sidecar_path(shared))
    if name == 'frames':
        names = sorted(os.listdir(alone))
        assert len(names) == 20
        pairs = [(alone / n, shared / n) for n in names]
    else:
        pairs = [(alone, shared)]
    assert all(a.read_bytes() == b.read_bytes() for a, b in pairs)
    assert not [x for x in os.listdir(shared.parent) if x[0] == '.']


@pytest.mark.parametrize('given', [[0], [1, 2]])
def test_missing_and_unfinished_ranges_are_restored(
    tmp_path: Path, clip: Path, given: list[int]
) -> None:
    model, files = recurrent(), options(clip)
    alone, shared = tmp_path / 'alone.mkv', tmp_path / 'shared.mkv'
    restore_video(model, clip, alone, files=files)
    ranges = make_task(model, clip, shared, files).plan_scenes(4)
    for number in given:
        late = options(clip, until=datetime(2020, 1, 1))
        task = make_task(model, clip, shared, late)
        with pytest.raises(StoppedError):  # after its first piece
            task.restore_scenes(ranges[number], None)
    kept = count_kept(shared)
    assert kept < 20 and bool(kept) == bool(given)
    # an interrupted run in one process, which takes over some of it
    stopped = options(clip, until=datetime(2020, 1, 1))
    with pytest.raises(StoppedError):
        restore_video(model, clip, shared, files=stopped)
    again = make_task(model, clip, shared, files)
    assert again.plan_scenes(9) == ranges  # as an earlier run chose
    restore_video(model, clip, shared, files=files)
    assert alone.read_bytes() == shared.read_bytes()
    first, second = (read_json(sidecar_path(path)) for path in (alone, shared))
    assert first['output'].pop('name') == 'alone.mkv'
    assert second['output'].pop('name') == 'shared.mkv'
    assert first == second


def test_ranges_of_other_options_are_not_used(
    tmp_path: Path, clip: Path
) -> None:
    model, dst = Bicubic(2), tmp_path / 'out.mkv'
    ranges = make_task(model, clip, dst, options(clip)).plan_scenes(4)
    task = make_task(model, clip, dst, options(clip))
    task.restore_scenes(ranges[1], None)
    report = restore_video(model, clip, dst, files=options(clip, crf=30))
    assert (report.kept, report.frames) == (0, 20)


def test_a_range_that_is_held(tmp_path: Path, clip: Path) -> None:
    model, dst = Bicubic(2), tmp_path / 'out.mkv'
    ranges = make_task(model, clip, dst, options(clip)).plan_scenes(4)
    task = make_task(model, clip, dst, options(clip))
    task.restore_scenes(ranges[0], None)
    with (
        open_scenes(dst, task.key, 0),
        pytest.raises(VideoError, match='restores it already'),
    ):
        restore_video(model, clip, dst, files=options(clip))
    report = restore_video(model, clip, dst, files=options(clip))
    assert (report.kept, report.frames) == (5, 20)


def test_nothing_is_left_where_nothing_was_restored(
    tmp_path: Path, clip: Path
) -> None:
    dst = tmp_path / 'out.mkv'
    make_task(Bicubic(2), clip, dst, options(clip)).plan_scenes(4)
    assert journal_folder(dst).is_dir()
    with open_journal(dst):
        pass
    assert not journal_folder(dst).exists()


@pytest.mark.parametrize(
    ('scenes', 'frames', 'count', 'done', 'starts'),
    [
        ((0, 10, 20, 30), 40, 2, 0, (0, 20)),
        ((0, 10, 20, 30), 40, 9, 0, (0, 10, 20, 30)),
        ((0, 10, 20, 30), 40, 9, 20, (20, 30)),
        ((0, 10, 20, 30), 40, 9, 15, (20, 30)),
        ((0,), 40, 9, 0, (0,)),
        ((0,), 40, 9, 1, ()),
        ((0, 38), 40, 2, 0, (0, 38)),
    ],
)
def test_ranges_of_about_the_same_length(
    scenes: tuple, frames: int, count: int, done: int, starts: tuple
) -> None:
    ranges = plan_ranges(scenes, frames, count, done)
    assert tuple(each.first for each in ranges) == starts
    ends = [each.end for each in ranges]
    assert ends == [*starts[1:], frames][: len(ranges)]
