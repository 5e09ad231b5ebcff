from pathlib import Path

import pytest

from star.apis.inference.batch import Job, is_batch, plan_batch
from star.video.io import VideoError


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


@pytest.mark.parametrize(
    ('names', 'batch'),
    [
        (['1.png', '2.png'], False),
        (['1.mp4'], True),
        (['1.mp4', '1.png'], True),
        (['a/1.png', 'b/1.png'], True),
        (['1.png', 'masks/1.png'], False),
        (['readme.txt'], False),
    ],
)
def test_which_folders_are_batches(
    tmp_path: Path, names: list[str], batch: bool
) -> None:
    assert is_batch(touch(tmp_path, *names)) is batch


def test_a_file_is_no_batch(tmp_path: Path) -> None:
    touch(tmp_path, 'a.mp4')
    assert not is_batch(tmp_path / 'a.mp4')


def test_names_of_results(tmp_path: Path) -> None:
    names = ['a.mp4', 'b.webm', 'c/1.png', 'd.MOV', 'e.wmv', 'e.avi']
    src = touch(tmp_path / 'in', *names, 'x.txt', '.hidden.mp4')
    dst = tmp_path / 'out'
    jobs, skipped = plan_batch(src, dst)
    assert jobs == [
        Job(src / 'a.mp4', dst / 'a.mp4'),
        Job(src / 'b.webm', dst / 'b.mkv'),
        Job(src / 'c', dst / 'c.mp4'),
        Job(src / 'd.MOV', dst / 'd.MOV'),
        Job(src / 'e.avi', dst / 'e.avi.mkv'),
        Job(src / 'e.wmv', dst / 'e.wmv.mkv'),
    ]
    assert skipped == [src / 'x.txt']


def test_results_as_folders_of_images(tmp_path: Path) -> None:
    src = touch(tmp_path / 'in', 'a.mp4', 'c.d/1.png')
    jobs, _ = plan_batch(src, tmp_path / 'out', images=True)
    assert [job.dst.name for job in jobs] == ['a', 'c.d']


def test_results_of_an_earlier_run_are_no_input(tmp_path: Path) -> None:
    src = touch(tmp_path, 'a.mp4', 'out/00000001.png')
    jobs, skipped = plan_batch(src, src / 'out')
    assert [job.src.name for job in jobs] == ['a.mp4']
    assert not skipped


def test_wrong_places(tmp_path: Path) -> None:
    src = touch(tmp_path / 'in', 'a.mp4')
    with pytest.raises(VideoError, match='is the input'):
        plan_batch(src, src)
    with pytest.raises(VideoError, match='must be a folder'):
        plan_batch(src, src / 'a.mp4')
