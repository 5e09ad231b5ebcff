import cv2
import numpy as np

from star.apis.test.pictures import draw_pictures, picture_paths
from star.structures import VideoSample
from tests.test_models.fakes import random_clip as clip


def test_first_middle_and_last_frame(tmp_path):
    paths = picture_paths(tmp_path, 'A', 'x', 9)
    assert list(paths) == [0, 4, 8]
    assert paths[4] == tmp_path / 'A' / 'x' / '00000004.png'
    assert list(picture_paths(tmp_path, 'A', 'x', 1)) == [0]
    assert list(picture_paths(tmp_path, 'A', 'x', 2)) == [0, 1]


def test_low_quality_restored_ground_truth(tmp_path):
    lq, pred, gt = clip(3, 4, 6, 0), clip(3, 8, 12, 1), clip(3, 8, 12, 2)
    sample = VideoSample(dataset='A', name='x', pred=pred, gt=gt)
    draw_pictures(tmp_path, lq, sample)
    for index, path in picture_paths(tmp_path, 'A', 'x', 3).items():
        image = cv2.imread(str(path))[..., ::-1]
        large, restored, truth = np.split(image, 3, axis=1)
        assert np.array_equal(
            large, np.kron(_image(lq, index), np.ones((2, 2, 1), np.uint8))
        )
        assert np.array_equal(restored, _image(pred, index))
        assert np.array_equal(truth, _image(gt, index))


def test_without_ground_truth(tmp_path):
    pred = clip(1, 8, 12, 1)
    sample = VideoSample(dataset='A', name='x', pred=pred)
    draw_pictures(tmp_path, clip(1, 4, 6, 0), sample)
    (path,) = picture_paths(tmp_path, 'A', 'x', 1).values()
    assert cv2.imread(str(path)).shape == (8, 24, 3)


def _image(frames, index):
    return frames[index].permute(1, 2, 0).numpy()
