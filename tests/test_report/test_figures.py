"""Files of figures and of their numbers."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from star.report.figures import (
    check_png,
    new_figure,
    save_figure,
    save_numbers,
)


def test_size_and_repeatability(tmp_path: Path):
    for name in ('a', 'b'):
        figure, panels = new_figure(3, 2, width=2, height=1.5)
        panels[5].plot([1, 2], [3, 4])
        save_figure(figure, tmp_path / 'new' / f'{name}.png')
    one, two = sorted((tmp_path / 'new').iterdir())  # and nothing else
    assert one.read_bytes() == two.read_bytes()
    image = Image.open(one)
    assert image.size == (3 * 2 * 120, 2 * 1.5 * 120)
    assert np.asarray(image.convert('L')).min() < 50


def test_numbers_come_back(tmp_path: Path):
    path = tmp_path / 'a.csv'
    save_numbers(path, ['name', 'x'], [['a, b', 0.1], [None, float('inf')]])
    with open(path, newline='') as file:
        rows = list(csv.DictReader(file))
    assert [row['name'] for row in rows] == ['a, b', '']
    assert [float(row['x']) for row in rows] == [0.1, float('inf')]


@pytest.mark.parametrize('name', ['a.jpg', 'a', 'folder.png'])
def test_other_names_are_refused(tmp_path: Path, name: str):
    (tmp_path / 'folder.png').mkdir()
    with pytest.raises(ValueError, match=r'ends in .png, got'):
        check_png(tmp_path / name)
