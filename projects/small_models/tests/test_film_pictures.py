"""Films of pictures: sharp, moving, and the same for the same seed."""

import cv2
import numpy as np
import pytest
from PIL import Image

from projects.small_models.tools import draw_pictures as draw
from projects.small_models.tools import film_pictures as film


@pytest.fixture
def picture():
    """A photograph's stand-in: smoothed noise, (300, 400, 3) uint8."""
    noise = np.random.default_rng(0).uniform(0, 255, (300, 400, 3))
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    return np.clip((smooth - 128) * 6 + 128, 0, 255).astype(np.uint8)


def test_place_matrix():
    centre, place = np.array([30.0, 40.0]), np.array([100.0, 50.0])
    flat = film.place_matrix(centre, np.pi / 2, 2.0, np.zeros(2), place)
    # three pixels to the right of the centre: turned downwards and doubled
    points = flat @ [[30, 33], [40, 40], [1, 1]]
    np.testing.assert_allclose(points, [[100, 100], [50, 56], [1, 1]])
    tilt = np.array([0.01, 0.0])
    tilted = film.place_matrix(centre, 0.0, 1.0, tilt, np.zeros(2))
    x, y, w = tilted @ [40, 40, 1]
    assert (x / w, y / w) == pytest.approx((10 / 1.1, 0))


def test_motion_is_smooth():
    for seed in range(50):
        motion = film.draw_motion(np.random.default_rng(seed), 10)
        speed = np.linalg.norm(np.diff(motion.shift, axis=0), axis=1)
        assert speed.max() < 12
        assert np.abs(np.diff(motion.zoom)).max() < 0.1


def test_ground_is_the_picture(picture):
    """A film of a picture moved by hand is the picture, moved."""
    rng = np.random.default_rng(3)
    frames = film.film_ground(rng, picture, 4, 200)
    assert frames.shape == (4, 200, 200, 3)
    # each frame is found again in the first one, close by
    patch = frames[2, 60:140, 60:140]
    found = cv2.matchTemplate(frames[0], patch, cv2.TM_CCOEFF_NORMED)
    assert found.max() > 0.8


def test_laying_over():
    cutout = np.zeros((20, 20, 4), np.uint8)
    cutout[5:15, 5:15] = (200, 100, 0, 255)
    layer = film.premultiply(cutout, 20)
    frame = np.full((24, 24, 3), 50, np.uint8)
    film.lay_over(frame, layer, np.eye(3))
    assert frame[12, 12].tolist() == [200, 100, 0]
    assert frame[3, 3].tolist() == [50, 50, 50]
    half = layer // 2
    film.lay_over(frame, half, np.eye(3))
    clear = 1 - 127 / 255
    assert frame[12, 12, 0] == pytest.approx(200 * clear + 100, abs=1)


def test_visible_faces():
    # straight on, one face is seen, as a square
    faces = draw.project_block(np.eye(3), 10.0, np.array([50.0, 60.0]))
    (_, corners, normal) = faces[0]
    assert len(faces) == 1
    assert normal.tolist() == [0, 0, -1]
    side = 10 * 6 / 5
    low, high = corners.min(0), corners.max(0)
    np.testing.assert_allclose(low, [50 - side, 60 - side])
    np.testing.assert_allclose(high, [50 + side, 60 + side])
    # from a corner there are three
    turn = draw.rotation([0.6, 0, 0]) @ draw.rotation([0, 0.7, 0])
    assert len(draw.project_block(turn, 10.0, np.zeros(2))) == 3


def test_faces_are_not_mirrored():
    face = np.zeros((40, 40, 3), np.uint8)
    face[:10, :10] = 255  # the mark of the upper left corner
    straight = np.float32([[10, 10], [50, 10], [50, 50], [10, 50]])
    for corners in (straight, straight[[1, 0, 3, 2]]):
        frame = np.zeros((60, 60, 3), np.uint8)
        film.lay_face(frame, face, corners)
        assert frame[15, 15, 0] == 255
        assert frame[15, 45, 0] == 0


def test_flat(picture):
    assert film.is_flat(np.full((3, 64, 64, 3), 90, np.uint8))
    assert not film.is_flat(picture[None, :64, :64])


def call(*words):
    return film.main([str(word) for word in words])


def test_tool(tmp_path, picture):
    (tmp_path / 'in').mkdir()
    Image.fromarray(picture).save(tmp_path / 'in' / 'a.png')
    options = ['--count', '6', '--frames', '3', '--size', '64']
    for name in ('one', 'two'):
        assert call(tmp_path / 'in', tmp_path / name, *options) == 0
    films = [
        [np.load(p) for p in sorted((tmp_path / name).glob('*.npy'))]
        for name in ('one', 'two')
    ]
    assert [f.shape for f in films[0]] == [(3, 64, 64, 3)] * 6
    np.testing.assert_array_equal(*films)
    assert len({f.tobytes() for f in films[0]}) == 6


def test_errors(tmp_path, picture, capsys):
    assert call(tmp_path, tmp_path / 'films', '--count', '1') == 2
    assert capsys.readouterr().err == f'error: no pictures in {tmp_path}\n'
    assert call(tmp_path / 'no', tmp_path / 'films', '--count', '1') == 2
    assert 'no such folder' in capsys.readouterr().err
    Image.fromarray(picture).save(tmp_path / 'a.png')
    assert call(tmp_path, tmp_path, '--count', '1') == 2
    assert 'exists already' in capsys.readouterr().err
