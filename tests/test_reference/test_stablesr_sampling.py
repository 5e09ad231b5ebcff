"""StableSR's sampler, tiles and sizes against numbers of its authors' code."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from star.diffusion.respaced import (
    RespacedSchedule,
    respace,
    sample_ancestral,
    scaled_linear_product,
)
from star.video.canvas import plan_canvas
from star.video.gaussian_tiles import gaussian_weight, plan_gaussian_tiles
from star.video.tiling import cut_tile, stitch_tiles
from star.video.windows import plan_windows
from tests.test_reference.test_stablesr import read
from tests.test_reference.vectors import (
    each_vector,
    find_vectors,
    read_manifest,
)


def respaced_files() -> list[Path]:
    files = find_vectors('stablesr/schedule_*.npz')
    return [f for f in files if re.fullmatch(r'schedule_\d+', f.stem)]


@pytest.mark.parametrize('path', respaced_files(), ids=lambda path: path.stem)
def test_schedule(path: Path):
    data = dict(np.load(path))
    steps = len(data['timesteps'])
    schedule = respace(steps)
    close = np.testing.assert_allclose
    assert list(schedule.timesteps) == data['timesteps'].tolist()
    close(schedule.betas, data['betas'], 1e-4)
    close(schedule.products, data['alphas_cumprod'], 1e-6)
    close(schedule.before, data['alphas_cumprod_prev'], 1e-6)
    of_x0, of_x = schedule.mean_weights()
    atol = 5e-6 if steps <= 200 else 2e-5
    close(of_x0, data['coef_x0'], 0, atol)
    close(of_x, data['coef_xt'], 0, atol)
    close(schedule.variances, data['posterior_variance'], 0, 3e-7)
    logs = [schedule.log_variance(i) for i in range(steps)]
    close(logs, data['posterior_log_variance_clipped'], 1e-5)
    close(math.sqrt(schedule.last), data['orig_sqrt_ac_999'], 1e-6)


@each_vector('stablesr/schedule_orig*.npz')
def test_whole_schedule(path: Path):
    expected = np.load(path)['alphas_cumprod']
    found = scaled_linear_product(len(expected), 0.00085, 0.012)
    np.testing.assert_allclose(found, expected, 1e-6)


def toy(q: Tensor, lq: Tensor, t: int, cond: Tensor) -> Tensor:
    """The denoiser of the recorded trajectories; it sees a tile's borders."""
    height, width = q.shape[-2:]
    place = torch.linspace(-1, 1, width)
    place = place + 0.5 * torch.linspace(-1, 1, height)[:, None]
    seen = 0.1 * (0.5 * q + 0.3 * lq * (1 + 0.0005 * t)).tanh()
    return q * (0.35 + 0.00065 * t) + seen + 0.02 * place + 0.1 * cond.mean()


@each_vector('stablesr/sample_*.npz')
def test_sampling(path: Path):
    data = read(path)
    schedule = respace(data['n_noise'])
    assert list(schedule.timesteps) == data['timesteps'].tolist()
    lq, seen = data['latent'], []
    x = schedule.start(lq, data['noise0'])
    torch.testing.assert_close(x, data['x_T'], rtol=0, atol=1e-6)
    tiles = plan_gaussian_tiles(
        *lq.shape[-2:], data['tile_size'], data['tile_overlap']
    )

    def predict(z: Tensor, t: int) -> Tensor:
        pieces = (
            toy(cut_tile(z, tile), cut_tile(lq, tile), t, data['cond'])
            for tile in tiles
        )
        return stitch_tiles(pieces, tiles)

    def adjust(z: Tensor, i: int) -> Tensor:
        seen.append(z)
        return z

    out = sample_ancestral(
        predict, x, schedule, lambda k: data['noise'][k], adjust
    )
    close = {'rtol': 0, 'atol': 3e-5}
    torch.testing.assert_close(out, data['out'], **close)
    check_steps(seen, data, schedule, close)


def check_steps(
    seen: list[Tensor], data: dict, schedule: RespacedSchedule, close: dict
) -> None:
    """Compare the latents after the steps that a file holds."""
    assert len(seen) == len(schedule.timesteps)
    for name, part in (('x_prev_first', slice(3)), ('x_prev_last', -3)):
        if name in data:
            part = part if isinstance(part, slice) else slice(part, None)
            found = torch.stack(seen[part])
            torch.testing.assert_close(found, data[name], **close)
    if 'x_prev' in data:
        found = torch.stack(seen)
        torch.testing.assert_close(found, data['x_prev'], **close)


@each_vector('stablesr/gaussian_weights*.npz')
def test_weights_of_tiles(path: Path):
    for name, expected in np.load(path).items():
        size = int(name.removeprefix('w'))
        found = gaussian_weight(size, size).numpy()
        ratio = expected.max() / found.max()
        np.testing.assert_allclose(found * ratio, expected, 1e-9)


def test_starts_of_latent_tiles():
    for row in read_manifest('stablesr/latent_tile_starts.tsv'):
        extent, tile, overlap = (
            int(row[name]) for name in ('extent', 'tile', 'overlap')
        )
        found = [start for start, _ in plan_windows(extent, tile, overlap)]
        assert found == [int(start) for start in row['starts'].split(',')]


@each_vector('stablesr/pixel_tiles*.npz')
def test_tiles_of_pixels(path: Path):
    data = read(path)
    image, size, boxes = data['im'], data['pch'], data['boxes_hhww'].tolist()
    tiles = plan_gaussian_tiles(*image.shape[-2:], size, size - data['stride'])
    places = [[t.top, t.bottom, t.left, t.right] for t in tiles]
    assert sorted(places) == sorted(boxes)
    numbers = [boxes.index(place) for place in places]  # columns first
    out = stitch_tiles(
        (
            cut_tile(image, tile) + data['tile_offset'] * number
            for tile, number in zip(tiles, numbers, strict=True)
        ),
        tiles,
    )
    torch.testing.assert_close(out, data['out'], rtol=0, atol=1e-6)


def sides(text: str) -> tuple[int, int]:
    height, width = map(int, text.split('x'))
    return height, width


@pytest.mark.parametrize(
    'row',
    read_manifest('stablesr/prep_sizes.tsv'),
    ids=lambda row: f'{row["lq_h"]}x{row["lq_w"]}',
)
def test_sizes(row: dict[str, str]):
    size = int(row['lq_h']), int(row['lq_w'])
    official, own = plan_canvas(size, official=True), plan_canvas(size)
    assert official.enlarged == sides(row['upsampled'])
    assert official.padded == sides(row['padded'])
    assert own.result == official.result == sides(row['ideal_output'])
    assert all(
        0 <= mine - needed < 32 and mine % 32 == 0 and mine <= theirs
        for mine, needed, theirs in zip(
            own.padded, own.enlarged, official.padded, strict=True
        )
    )
    tiling = next(v for k, v in row.items() if k.startswith('vae_tiling'))
    tiles = plan_gaussian_tiles(*official.padded, 1280, 280)
    rows, columns = ({getattr(t, k) for t in tiles} for k in ('top', 'left'))
    if tiling.endswith('tiles'):
        assert tiling == f'{len(rows)}x{len(columns)} tiles'
    else:  # which crashes where a single row or column is cut
        assert (len(tiles) == 1) == (tiling == 'one')
