"""Frames of folders are compared by name; files need no pixels for it."""

import pytest

from star.video.frame_names import check_counterparts, check_numbers
from star.video.info import VideoError


def make(folder, *names):
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    'names',
    [
        ('000.png', '001.png', '002.png'),
        ('7.png', '8.png', '9.png', '10.png', '11.png'),
        ('Frame 099.png', 'Frame 100.png', 'frame 101.JPG'),
        ('c2_f_0001_x4.png', 'c2_f_0002_x4.png'),
        ('left_1.png', 'left_2.png', 'right_1.png', 'right_2.png'),
        ('a.png', 'b.png', 'd.png', 'notes.txt', '.000.png', '.002.png'),
        ('5.png',),
        (),
    ],
)
def test_frames_that_count_by_one(tmp_path, names):
    check_numbers(make(tmp_path / 'a', *names))


@pytest.mark.parametrize(
    ('names', 'missing'),
    [
        (('000.png', '001.png', '003.png'), '002.png'),
        (('0.png', '2.png', '4.png'), '1.png'),
        (('frame_0009.png', 'frame_0011.png'), 'frame_0010.png'),
        (('c2_f_0001_x4.jpg', 'c2_f_0004_x4.jpg'), 'c2_f_0002_x4.jpg'),
        (('000.png', '001.png', '003.png', 'cover.png'), '002.png'),
    ],
)
def test_the_first_gap_is_named(tmp_path, names, missing):
    folder = make(tmp_path / 'a', *names)
    with pytest.raises(VideoError) as error:
        check_numbers(folder)
    assert f'{folder}: frame {missing} is missing between' in str(error.value)
    assert 'rename' in str(error.value) and '\n' not in str(error.value)


def test_gaps_behind_the_frames_in_use(tmp_path):
    folder = make(tmp_path / 'a', '0.png', '1.png', '3.png')
    check_numbers(folder, 2)
    with pytest.raises(VideoError, match=r'2\.png is missing'):
        check_numbers(folder, 3)


@pytest.mark.parametrize('twin', ['1.jpg', '01.png', '0001.bmp'])
def test_two_files_of_one_frame(tmp_path, twin):
    folder = make(tmp_path / 'a', '1.png', twin)
    with pytest.raises(VideoError, match=r'are one frame, by their names; '):
        check_numbers(folder)


@pytest.mark.parametrize(
    ('one', 'other'),
    [
        (('000.png', '001.png'), ('0.jpg', '1.JPG')),
        (('frame_0001.png', 'frame_0002.png'), ('1.png', '2.png')),
        (('gt_09_x4.png', 'gt_10_x4.png'), ('lq9.png', 'lq10.png')),
        (('cat.png', 'Dog.png'), ('cat.jpg', 'dog.png')),
        (('5.png',), ('frame05.png',)),
        (('a_1.png', 'b_2.png'), ('a_01.png', 'b_02.png')),
    ],
)
def test_frames_with_counterparts(tmp_path, one, other):
    check_counterparts(
        make(tmp_path / 'gt', *one), make(tmp_path / 'q', *other)
    )


@pytest.mark.parametrize(
    ('one', 'other', 'faults'),
    [
        (  # as many in both
            ('0.png', '1.png', '3.png'),
            ('0.png', '1.png', '2.png'),
            ['gt lacks 2.png', 'lq lacks 3.png'],
        ),
        (('0.png', '1.png'), ('0.png',), ['lq lacks 1.png']),
        (
            ('000.png', '001.png', '002.png'),
            ('001.png', '002.png', '003.png'),
            ['gt lacks 003.png', 'lq lacks 000.png'],
        ),
        (
            ('f_1.png', 'f_2.png', 'f_3.png', 'f_4.png'),
            ('1.png', '4.png'),
            ['lq lacks f_2.png and 1 more'],
        ),
        (('a.png', 'b.png'), ('a.png', 'c.png'), ['gt lacks c.png']),
        (('5.png',), ('6.png',), ['gt lacks 6.png', 'lq lacks 5.png']),
    ],
)
def test_missing_counterparts(tmp_path, one, other, faults):
    folders = make(tmp_path / 'gt', *one), make(tmp_path / 'lq', *other)
    with pytest.raises(VideoError) as error:
        check_counterparts(*folders)
    for fault in faults:
        assert f'{tmp_path}/{fault}' in str(error.value)
    assert str(error.value).count(' lacks ') >= len(faults)
    assert '\n' not in str(error.value)


def test_counterparts_of_the_first_frames(tmp_path):
    gt = make(tmp_path / 'gt', *(f'{i}.png' for i in range(6)))
    lq = make(tmp_path / 'lq', *(f'{i}.png' for i in (0, 1, 2, 4, 5)))
    check_counterparts(gt, lq, 3)
    with pytest.raises(VideoError) as error:
        check_counterparts(gt, lq, 4)
    # frame 4, the fourth of lq/, is there in gt/
    assert f'but {lq} lacks 3.png; add' in str(error.value)
