import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from star.apis.analysis.training_items import (
    describe_draws,
    draw_item,
    item_numbers,
    write_items,
)
from star.datasets.transforms.degradation import (
    RealESRGANVideoDegradation,
    replay,
)
from star.datasets.transforms.formatting import PackVideoInputs


def item(number: int, frames: int = 4, name: str = 'a/b') -> dict:
    """Degrade noise as a training does; the draws depend on the number."""
    rng = np.random.default_rng(number)
    gt = rng.integers(0, 256, (frames, 32, 48, 3), dtype=np.uint8)
    results = {'gt': gt, 'name': name, 'prompt': 'noise', 'rng': rng}
    results = RealESRGANVideoDegradation('star', 4).transform(results)
    return PackVideoInputs().transform(results)


class Items:
    """Items by number, as many as asked for."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, number: int) -> dict:
        return item(number)


def test_a_picture_shows_both_clips():
    made = item(0)
    picture = draw_item(made, frames=2)
    assert picture.shape == (2 * 32, 2 * 48, 3)
    for row, frame in enumerate((0, 3)):  # the first and the last
        part = picture[32 * row : 32 * row + 32]
        gt = made['data_samples'].gt[frame].permute(1, 2, 0).numpy()
        lq = made['inputs'][frame].permute(1, 2, 0).numpy()
        assert (part[:, 48:] == gt).all()
        squares = np.kron(lq, np.ones((4, 4, 1), np.uint8))
        assert (part[:, :48] == squares).all()


def test_the_draws_repeat_the_degradation(tmp_path: Path):
    written = list(write_items(Items(), range(5, 9), 2, tmp_path))
    paths = [path.name for path, _ in written]
    assert paths == ['00005_a_b.png', '00006_a_b.png']
    facts = json.loads((tmp_path / '00006_a_b.json').read_text())
    made = item(6)
    gt = made['data_samples'].gt.permute(0, 2, 3, 1).numpy()
    lq = replay(gt, facts['degradation'])
    assert (torch.from_numpy(lq).permute(0, 3, 1, 2) == made['inputs']).all()
    assert facts['prompt'] == 'noise' and facts['item'] == 6
    picture = np.asarray(Image.open(tmp_path / '00006_a_b.png'))
    assert (picture == draw_item(made)).all()


def test_one_line_tells_the_steps():
    sample = item(0)['data_samples']
    steps = [
        {'op': 'blur', 'kind': 'iso', 'sigma_x': [1.23456], 'theta': []},
        {'op': 'noise', 'kind': 'poisson', 'gray': True, 'seed': 12345},
        {'op': 'noise', 'kind': 'poisson', 'gray': False, 'level': [2, 3]},
    ]
    sample.record |= {'plans': [steps]}
    assert describe_draws(sample) == (
        'star, constant: blur kind iso sigma_x 1.23; noise kind poisson gray; '
        'noise kind poisson level 2'
    )
    sample.record = None
    assert describe_draws(sample) == 'no degradation recorded'


def test_the_sampler_decides_how_many_there_are():
    config = Config({'train_dataloader': {'sampler': {'type': 'Other'}}})
    assert item_numbers(config, Items(), 1) == range(1, 3)
    with pytest.raises(ValueError, match='`start` must be below 3'):
        item_numbers(config, Items(), 3)
    config.train_dataloader.sampler.type = 'DrawSampler'
    assert item_numbers(config, Items(), 1000)[:2] == range(1000, 1002)


def test_latents_have_nothing_to_show():
    made = item(0)
    made['data_samples'].gt = None
    with pytest.raises(ValueError, match='a/b has no ground truth to show'):
        draw_item(made)
