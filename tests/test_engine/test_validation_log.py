import json

import numpy as np

from star.engine.validation_log import ClipResult, log_results


class Board:
    """Stands for a Runner and its visualizer."""

    def __init__(self):
        self.visualizer = self
        self._vis_backends = {'board': self}
        self.images, self.numbers = [], []

    def add_image(self, name, image, step):
        self.images.append((name, image.mean(), step))

    def add_scalars(self, numbers, step):
        self.numbers.append((numbers, step))


def test_means_are_of_the_clips_that_have_a_score(tmp_path):
    image = np.full((2, 6, 3), 9, np.uint8)
    board = Board()
    results = [
        ClipResult(0, 'a', image, {'X': 1.0, 'Y': 5.0}),
        ClipResult(1, 'b', image, {'X': 4.0}),
        ClipResult(2, 'c', None, {'X': 100.0}, ['c: broken']),
        ClipResult(3, 'd', image),
    ]
    log_results(board, 20, results, tmp_path)
    assert board.images == [(f'val/{n}', 9.0, 20) for n in 'abd']
    assert board.numbers == [({'val/X': 2.5, 'val/Y': 5.0, 'iter': 20}, 20)]
    scores = json.loads((tmp_path / 'scores.json').read_text())
    assert scores == {'a': {'X': 1.0, 'Y': 5.0}, 'b': {'X': 4.0}, 'd': {}}


def test_nothing_restored(tmp_path):
    board = Board()
    results = [ClipResult(0, 'a', notes=['a: broken'])]
    log_results(board, 20, results, tmp_path)
    assert not board.images and not board.numbers
    assert not list(tmp_path.iterdir())
