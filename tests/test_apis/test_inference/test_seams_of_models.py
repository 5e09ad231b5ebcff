"""Borders of windows, segments and tiles do not stand out in results."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from star.apis import init_model
from star.apis.inference.borders import Borders, find_borders
from star.apis.inference.trust_seams import tile_seams
from star.models.data_preprocessor import to_float, to_uint8, upsample_clip
from star.models.restoration import restoration
from star.video.io import VideoReader
from star.video.seams import time_seam
from tests.paths import ROOT

SIZE = (48, 64)  # height and width of the input
WINDOW = {'window': 6, 'overlap': 2}


@pytest.fixture(scope='module')
def lq() -> torch.Tensor:
    """Return a part of the sample clip, (14, 3, h, w)."""
    (path,) = (ROOT / 'data' / 'samples').glob('*.mp4')
    with VideoReader(path) as reader:
        frames = [f.image[24:72, 32:96] for f in islice(reader, 14)]
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)


@pytest.fixture(
    params=['tiny_compact', pytest.param('tiny', marks=pytest.mark.slow)]
)
def model(request, monkeypatch):
    """Return a model whose segments are single windows."""
    monkeypatch.setattr(restoration, 'SEGMENT_BYTES', 1)
    monkeypatch.setattr(restoration, 'WEIGHT_SHARE', 0)
    weights = 'random' if request.param == 'tiny' else None
    torch.manual_seed(0)
    return init_model(request.param, weights, 'cpu')


def change(clip: torch.Tensor) -> np.ndarray:
    """Measure how much each frame differs from the one before."""
    steps = clip.float().diff(dim=0).abs().mean((1, 2, 3)).numpy()
    return np.concatenate([[np.nan], steps])


def score(model, lq: torch.Tensor, options) -> np.ndarray:
    """Score the borders in time of a result."""
    size = (lq.shape[3], lq.shape[2])
    borders = find_borders(model, options, size, (), len(lq))
    assert borders.segments
    pred = model.restore(lq, options)
    large = to_uint8(upsample_clip(to_float(lq), pred.shape[-2:]))
    return time_seam(change(pred) / change(large), borders.segments)


@pytest.mark.slow
def test_no_seams_in_time(model, lq):
    options = replace(model.restore_options, **WINDOW, steps=2, mode='normal')
    scores = score(model, lq, options)
    assert np.median(scores) < 1.05 and scores.max() < 1.2
    apart = score(model, lq, replace(options, window=4, overlap=0))
    assert np.median(apart) > np.median(scores)  # the score finds seams


def test_no_seams_between_tiles(model, lq):
    options = replace(
        model.restore_options,
        tile=96,
        tile_overlap=32,
        steps=2,
        mode='normal',
    )
    size = (lq.shape[3], lq.shape[2])
    borders = find_borders(model, options, size, (), len(lq))
    assert borders.rows and borders.columns
    tiled = tile_scores(model, lq[:4], options, borders)
    whole = tile_scores(model, lq[:4], replace(options, tile=0), borders)
    assert (tiled < 1.15 * whole).all()  # what is there is the picture's own


def tile_scores(model, lq: torch.Tensor, options, borders) -> np.ndarray:
    """Score the lines between tiles, mean of the frames."""
    pred = model.restore(lq, options)
    clips = (clip.permute(0, 2, 3, 1).numpy() for clip in (lq, pred))
    found = [
        tile_seams(before, after, borders)
        for before, after in zip(*clips, strict=True)
    ]
    return np.mean([[*each['rows'], *each['columns']] for each in found], 0)


@pytest.mark.parametrize('changes', [{'tile': (400, 100)}, {'window': 2}])
def test_the_shipped_model_has_no_seams(lq, changes):
    model = init_model(device='cpu')
    options = replace(
        model.restore_options, tile_overlap=0, overlap=0, **changes
    )
    assert torch.equal(model.restore(lq[:3], options), model.restore(lq[:3]))
    size = (lq.shape[3], lq.shape[2])
    assert find_borders(model, options, size, (), 3) == Borders()
