import os
from pathlib import Path

import pytest
from PIL import Image

from star.apis.inference.batch import Job, Rules, plan_jobs
from star.video.io import VideoError


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def draw(folder: Path, *names: str, size=(8, 6), **options) -> Path:
    """Write small pictures of one size."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', size).save(path, **options)
    return folder


def results(src: Path, dst: Path | str, **rules) -> dict[str, str]:
    """Plan; return the results' paths by those of the sources."""
    plan = plan_jobs(src, str(dst), Rules(**rules))
    return {
        str(job.src.relative_to(src)): job.target.removeprefix(f'{dst}/')
        for job in plan.jobs
    }


@pytest.mark.parametrize(
    ('target', 'expected'),
    [('out/', 'out/a.mp4'), ('there', 'there/a.mp4'), ('b.mkv', 'b.mkv')],
)
def test_target_of_a_file(tmp_path, monkeypatch, target, expected):
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, 'a.mp4', 'there/other.mp4')
    plan = plan_jobs(Path('a.mp4'), target)
    assert plan.jobs == [Job(Path('a.mp4'), Path(expected))]
    assert not plan.batch and not plan.notes


@pytest.mark.parametrize(
    ('target', 'expected'),
    [
        ('new', 'new/'),
        ('out/', 'out/a/'),
        ('there', 'there/a/'),
        ('earlier', 'earlier/'),
        ('earlier/', 'earlier/a/'),
        ('b.mkv', 'b.mkv'),
    ],
)
def test_folder_of_images_from_a_file(tmp_path, monkeypatch, target, expected):
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, 'a.mp4', 'there/other.mp4', 'earlier/00000000.png')
    (job,) = plan_jobs(Path('a.mp4'), target, Rules(images=True)).jobs
    assert job.target == expected


@pytest.mark.parametrize(
    ('target', 'words'),
    [
        ('out', ['out/ for a folder', 'out.mp4 for a file', '--codec png']),
        ('out.xyz', ['.xyz', '.mp4, .mov, .mkv', 'out.xyz/']),
        ('a.mp4/', ['a.mp4: is a file, not a folder']),
        ('a.mp4/b.mp4', ['a.mp4 is not a folder']),
        ('dead.mp4', ['dead.mp4: a link to nothing']),
        ('', ['no name']),
    ],
)
def test_target_that_cannot_be(tmp_path, monkeypatch, target, words):
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, 'a.mp4')
    (tmp_path / 'dead.mp4').symlink_to('nothing')
    before = sorted(os.listdir())
    with pytest.raises((ValueError, OSError)) as caught:
        plan_jobs(Path('a.mp4'), target)
    assert all(word in str(caught.value) for word in words), caught.value
    assert '\n' not in str(caught.value)
    assert sorted(os.listdir()) == before


def test_a_folder_is_no_file(tmp_path):
    src = touch(tmp_path, 'a.mp4', 'out/a.mp4/x', 'b')
    with pytest.raises(VideoError, match=r'is a folder, .* is a file'):
        plan_jobs(src / 'a.mp4', f'{tmp_path}/out')
    with pytest.raises(VideoError, match=r'b: is a file, .* is a folder'):
        plan_jobs(src / 'a.mp4', f'{tmp_path}/b', Rules(images=True))


def test_result_beside_its_frames(tmp_path):
    src = draw(tmp_path, '1.png', '2.png')
    expected = [Job(src, src / 'out.mp4')]
    for _ in range(2):  # the second time it is there
        assert plan_jobs(src, str(src / 'out.mp4')).jobs == expected
        touch(src, 'out.mp4', 'out.mp4.star.json')


def test_source_that_cannot_be(tmp_path):
    (tmp_path / 'dead.mp4').symlink_to('nothing')
    touch(tmp_path / 'text', 'readme.txt')
    with pytest.raises(VideoError, match='no such file or folder'):
        plan_jobs(tmp_path / 'a.mp4', 'out/')
    with pytest.raises(VideoError, match='a link to nothing'):
        plan_jobs(tmp_path / 'dead.mp4', 'out/')
    with pytest.raises(VideoError, match='no videos and no images'):
        plan_jobs(tmp_path / 'text', 'out/')


def test_names_of_results(tmp_path):
    names = [
        'a.mp4',
        'b.webm',
        'b.m4v',
        'd.MOV',
        'e.wmv',
        'e.avi',
        'f.gif',
        'g.exr',
    ]
    src = touch(tmp_path / 'in', *names, 'x.txt', '.hidden.mp4', 'Thumbs.db')
    draw(src, 'c/1.png', 'c/2.png')
    assert results(src, tmp_path / 'out') == {
        'a.mp4': 'a.mp4',
        'b.m4v': 'b.m4v',
        'b.webm': 'b.webm',
        'c': 'c.mp4',
        'd.MOV': 'd.MOV',
        'e.avi': 'e.avi.mkv',
        'e.wmv': 'e.wmv.mkv',
        'f.gif': 'f.gif',
        'g.exr': 'g.png',
    }
    plan = plan_jobs(src, str(tmp_path / 'out'))
    assert plan.batch
    assert plan.notes[-1].endswith('left alone: x.txt')


def test_tree_is_kept(tmp_path):
    src = touch(tmp_path / 'in', 'a.mp4', 'b/a.mp4', 'b/c/d.jpg', '.git/x.mp4')
    expected = {
        'a.mp4': 'a.mp4',
        'b/a.mp4': 'b/a.mp4',
        'b/c/d.jpg': 'b/c/d.jpg',
    }
    assert results(src, tmp_path / 'out') == expected
    flat = plan_jobs(src, str(tmp_path / 'out'), Rules(recursive=False))
    assert [job.src for job in flat.jobs] == [src / 'a.mp4']
    assert flat.notes == [f'{src}: no videos and no images, left alone: b']


def test_results_as_folders_of_images(tmp_path):
    src = touch(tmp_path / 'in', 'a.mp4', 'photo.jpg')
    draw(src / 'c.d', '1.png', '2.png')
    assert results(src, tmp_path / 'out', images=True) == {
        'a.mp4': 'a/',
        'c.d': 'c.d/',
        'photo.jpg': 'photo.jpg',
    }


def test_results_of_an_earlier_run_are_no_input(tmp_path):
    src = touch(tmp_path, 'a.mp4', 'out/a.mp4')
    (src / 'link').symlink_to(src / 'out')
    (src / 'loop').symlink_to(src)
    assert results(src, src / 'out') == {'a.mp4': 'a.mp4'}


def test_wrong_places(tmp_path):
    src = touch(tmp_path / 'in', 'a.mp4', 'in/a.mp4')
    (tmp_path / 'link').symlink_to(src)
    for dst in (src, tmp_path / 'link', f'{src}/'):
        with pytest.raises(VideoError, match='is the input'):
            plan_jobs(src, str(dst))
    for dst in (src / 'a.mp4', tmp_path / 'new.mp4'):
        with pytest.raises(VideoError, match='must be a folder'):
            plan_jobs(src, str(dst))
    with pytest.raises(VideoError, match=r'in/a.mp4: is an input'):
        plan_jobs(src, str(tmp_path))


def test_frames_of_one_size_that_count_are_a_clip(tmp_path):
    src = draw(tmp_path / 'in', *[f'frame_{i:04}.png' for i in (8, 9, 10, 11)])
    assert results(src, tmp_path / 'out') == {'.': ''}
    (job,) = plan_jobs(src, str(tmp_path / 'out.mp4')).jobs
    assert job == Job(src, tmp_path / 'out.mp4')
    (note,) = plan_jobs(src, 'out').notes
    assert '4 images are one clip' in note and '--no-as-clip' in note
    photos = results(src, tmp_path / 'out', as_clip=False)
    assert next(iter(photos.values())) == 'frame_0008.png' and len(photos) == 4
    touch(tmp_path / 'out', 'other.txt')
    assert results(src, tmp_path / 'out') == {'.': 'in/'}


def test_every_third_frame_is_a_clip(tmp_path):
    src = draw(tmp_path, *[f'{i}.png' for i in (3, 6, 9, 12)])
    assert results(src, tmp_path / 'out') == {'.': ''}


@pytest.mark.parametrize(
    ('names', 'others', 'reason'),
    [
        (['1.png', '2.png', '4.png'], [], '3.png is missing between 2.png'),
        (['1.png', '5.png'], [], '2.png is missing between 1.png and 5.png'),
        (['1.png', '2.png'], ['3.png'], '3.png is 6x8 and 1.png 8x6'),
        (['sea.png', 'sun.png'], [], 'names do not count'),
        (['1.png', '2.jpg'], [], 'several kinds'),
        (['1.png', '01.png'], [], 'names do not count'),
    ],
)
def test_other_pictures_are_restored_one_by_one(
    tmp_path, names, others, reason
):
    src = draw(draw(tmp_path / 'in', *names), *others, size=(6, 8))
    plan = plan_jobs(src, str(tmp_path / 'out'))
    assert sorted(job.dst.name for job in plan.jobs) == sorted(names + others)
    assert plan.batch
    assert reason in plan.notes[0] and '--as-clip' in plan.notes[0]
    (job,) = plan_jobs(src, str(tmp_path / 'out'), Rules(as_clip=True)).jobs
    assert job == Job(src, tmp_path / 'out', folder=True)


def test_photographs_of_a_camera_are_no_clip(tmp_path):
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = 'Maker', 'Model 5'
    src = draw(tmp_path, 'IMG_1.jpg', 'IMG_2.jpg', exif=exif)
    assert len(results(src, tmp_path / 'out')) == 2
    assert 'Maker Model 5' in plan_jobs(src, str(tmp_path / 'out')).notes[0]


def test_size_is_that_of_the_upright_picture(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    src = draw(tmp_path, '1.jpg')
    draw(src, '2.jpg', size=(6, 8), exif=exif)
    assert results(src, tmp_path / 'out') == {'.': ''}


def test_a_gap_of_a_clip_is_named(tmp_path):
    src = draw(tmp_path, '1.png', '3.png')
    for target in ('out.mp4', 'out'):
        plan = plan_jobs(src, target, Rules(as_clip=True))
        assert '2.png is missing between 1.png and 3.png' in plan.notes[0]


def test_pictures_beside_a_video_are_restored_by_themselves(tmp_path):
    src = draw(touch(tmp_path, 'a.mp4'), '1.png', '2.png')
    assert list(results(src, tmp_path / 'out')) == ['1.png', '2.png', 'a.mp4']


def test_frames_and_folders_below_them(tmp_path):
    src = draw(tmp_path / 'in', '1.png', '2.png', 'masks/1.png')
    expected = {'.': 'in.mp4', 'masks/1.png': 'masks/1.png'}
    assert results(src, tmp_path / 'out') == expected


def test_each_result_has_a_name_of_its_own(tmp_path):
    src = touch(tmp_path / 'in', 'A.mp4', 'a.MP4', 'c.mov', 'c/x.mp4')
    plan = plan_jobs(src, str(tmp_path / 'out'), Rules(images=True))
    names = [job.dst.relative_to(tmp_path / 'out') for job in plan.jobs]
    expected = ['A.mp4', 'a (2).MP4', 'c/x', 'c (2)']
    assert list(map(str, names)) == expected


@pytest.mark.parametrize('letter', ['a', 'ü', '中'])
def test_longest_names(tmp_path, letter):
    stem = letter * (251 // len(letter.encode()))
    src = touch(tmp_path / 'in', stem + '.avi', stem + '.ts')
    draw(src / (stem + letter), '1.png', '2.png')
    plan = plan_jobs(src, str(tmp_path / 'out'))
    names = {job.dst.name for job in plan.jobs}
    assert len(names) == 3
    assert all(len(os.fsencode(name)) <= 255 for name in names)


def test_names_that_are_hard_to_print(tmp_path):
    names = ['a\nb.mp4', '%d.mp4', '-x.mp4', 'it\'s "it".mp4', 'n\udce9.mp4']
    src = touch(tmp_path / 'in', *names)
    assert list(results(src, tmp_path / 'out')) == sorted(names)
