"""Metrics with ground truth and the warping error: options, parts, files."""

import hashlib
from pathlib import Path

import pytest

import star.evaluation
from star.evaluation import DISTS, LPIPS, PSNR, SSIM, EWarp
from star.evaluation.functional.dists import dists_frames
from star.evaluation.functional.ewarp import ewarp_details
from star.evaluation.functional.lpips import lpips_frames
from star.evaluation.functional.psnr import psnr
from star.evaluation.functional.ssim import ssim
from star.evaluation.weight_files import FILES
from star.perceptual.lpips import load_lpips
from star.registry import METRICS
from tests.paths import WEIGHTS
from tests.test_evaluation.test_functional.test_psnr import clips
from tests.test_evaluation.test_networks.test_dists import save_whole
from tests.test_perceptual.test_lpips import saved

needs_raft = pytest.mark.skipif(
    WEIGHTS is None or not (WEIGHTS / 'raft-small.pth').is_file(),
    reason='no raft-small.pth (set STAR_WEIGHTS)',
)


def test_options_reach_the_functions():
    pred, gt = clips()
    assert PSNR('y', 3).measure(pred, gt).score == psnr(pred, gt, 'y', 3)
    for channel in ('y', 'yiq'):
        found = SSIM(channel, 3).measure(pred, gt).score
        assert found == ssim(pred, gt, channel, 3)


@pytest.mark.parametrize(
    ('config', 'name', 'better'),
    [
        ({'type': 'PSNR'}, 'PSNR', True),
        ({'type': 'PSNR', 'channel': 'y'}, 'PSNR_Y', True),
        ({'type': 'SSIM'}, 'SSIM', True),
        ({'type': 'SSIM', 'channel': 'y'}, 'SSIM_Y', True),
        ({'type': 'SSIM', 'channel': 'yiq'}, 'SSIM_YIQ', True),
    ],
)
def test_registered_names(config: dict, name: str, better: bool):
    metric = METRICS.build(config)
    assert isinstance(metric, star.evaluation.VideoMetric)
    assert (metric.name, metric.higher_is_better) == (name, better)


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: PSNR('luma'), "`channel` must be .* got 'luma'"),
        (lambda: PSNR('yiq'), "'rgb' or 'y', got 'yiq'"),
        (lambda: SSIM('luma'), "'rgb', 'y' or 'yiq', got 'luma'"),
        (lambda: DISTS(border=-2), '`border` must be at least 0, got -2'),
        (lambda: DISTS(weights='none.pth'), 'there is no file none.pth'),
        (lambda: EWarp('star'), "`preset` must be .* got 'star'"),
        (lambda: PSNR(border=-1), '`border` must be at least 0, got -1'),
        (lambda: LPIPS('resnet'), "`net` must be .* got 'resnet'"),
        (lambda: EWarp(network='tiny'), "'small' or 'large', got 'tiny'"),
        (lambda: EWarp(weights_dir='none'), 'there is no folder none'),
        (lambda: LPIPS(every=0), '`every` must be at least 1'),
        (lambda: LPIPS(weights='none.pth'), 'there is no file none.pth'),
        (lambda: EWarp(weights='none.pth'), 'there is no file none.pth'),
    ],
)
def test_refuses_options(make, message: str):
    with pytest.raises(ValueError, match=message):
        make()


@needs_raft
def test_ewarp_scores_without_truth():
    metric = EWarp('lai', network='small', weights_dir=str(WEIGHTS), every=2)
    metric.flow.num_updates = 1
    pred = clips()[0].repeat(1, 1, 7, 6)[[0, 1, 2, 0]]
    expected = ewarp_details(metric.flow, pred, 'lai')
    found = metric.measure(pred)
    assert found.frames == [0, 2]
    values = (1000 * expected.errors[::2]).tolist()
    assert found.parts == pytest.approx(values, rel=1e-6)
    flow = expected.flow[::2].mean().item()
    assert found.extras == {'flow': pytest.approx(flow, rel=1e-5)}
    assert found.score == pytest.approx(sum(values) / 2, rel=1e-6)
    assert metric.name == 'Ewarp_lai_small'
    assert not metric.higher_is_better


@needs_raft
def test_ewarp_describes_itself():
    found = EWarp(network='small', weights_dir=str(WEIGHTS)).describe()
    assert (found['name'], found['unit']) == ('Ewarp_small', 'pair')
    assert found['options'] == {
        'preset': 'evalcrafter',
        'network': 'small',
        'num_updates': 20,
        'frames': None,
        'every': 1,
    }
    digest = FILES['raft-small.pth'].sha256
    assert found['weights'] == {'raft-small.pth': digest}


def test_ewarp_of_a_single_frame():
    with pytest.raises(ValueError, match='at least 2 frames, got 1'):
        ewarp_details(lambda a, b: a, clips()[0][:1])


@pytest.mark.parametrize(
    ('net', 'name'), [('squeeze', 'LPIPS_squeeze'), ('alex', 'LPIPS')]
)
def test_lpips(net: str, name: str, tmp_path: Path):
    path = saved(net, tmp_path)
    metric = LPIPS(net, str(path), border=4, frames=[0, 2])
    pred, gt = (clip.repeat(1, 1, 3, 3) for clip in clips())
    found = metric.measure(pred, gt)
    assert (metric.name, found.frames) == (name, [0, 2])
    network = load_lpips(path, net)
    expected = lpips_frames(network, pred, gt, border=4, every=2).tolist()
    assert found.parts == pytest.approx(expected, abs=1e-9)
    assert found.parts[0] > 0
    files = metric.describe()['weights']
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert files == {f'{net}.safetensors': digest}


def test_dists(tmp_path: Path):
    path = save_whole(tmp_path)
    metric = DISTS(str(path), border=4, frames=[0, 2])
    pred, gt = (clip.repeat(1, 1, 2, 2) for clip in clips())
    found = metric.measure(pred, gt)
    assert (metric.name, found.frames) == ('DISTS', [0, 2])
    assert not metric.higher_is_better and metric.needs_gt
    expected = dists_frames(metric.network, pred, gt, border=4)[::2].tolist()
    inner = [x[:1, :, 4:-4, 4:-4].float() / 255 for x in (pred, gt)]
    alone = metric.network(*inner).item()
    assert alone > 0.01
    assert found.parts == pytest.approx(expected, abs=1e-9)
    assert found.parts[0] == pytest.approx(alone, rel=1e-6)
    files = metric.describe()['weights']
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert files == {'whole.pth': digest}
