"""Metrics in the evaluator: one record a clip, averages by data set."""

import hashlib
import math
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from mmengine.evaluator import Evaluator
from torch.utils.data import DataLoader, Dataset

import star.evaluation
from star.evaluation import LPIPS, PSNR, SSIM, EWarp
from star.evaluation.functional.ewarp import ewarp_details
from star.evaluation.functional.lpips import lpips_frames
from star.evaluation.functional.psnr import psnr
from star.evaluation.functional.ssim import ssim
from star.evaluation.networks.lpips import load_lpips
from star.evaluation.weight_files import FILES
from star.registry import METRICS
from star.structures import VideoSample
from tests.paths import WEIGHTS
from tests.test_evaluation.test_functional.test_psnr import clips
from tests.test_evaluation.test_networks.test_lpips import saved

needs_raft = pytest.mark.skipif(
    WEIGHTS is None or not (WEIGHTS / 'raft-small.pth').is_file(),
    reason='no raft-small.pth (set STAR_WEIGHTS)',
)


def sample(index: int, dataset: str = 'A', gt: bool = True) -> VideoSample:
    pred, truth = clips(index)
    return VideoSample(
        gt=truth if gt else None,
        pred=pred,
        name=f'clip{index}',
        dataset=dataset,
    )


def clip_set() -> list[VideoSample]:
    """List 17 clips of two sets, of which every fourth has no truth."""
    return [sample(i, 'AB'[i % 2], gt=i % 4 != 3) for i in range(17)]


def expected_psnr(dataset: str) -> float:
    scores = [
        psnr(s.pred, s.gt)
        for s in clip_set()
        if s.dataset == dataset and s.gt is not None
    ]
    return math.fsum(scores) / len(scores)


class Clips(Dataset):
    def __len__(self) -> int:
        return 17

    def __getitem__(self, index: int) -> VideoSample:
        return clip_set()[index]


def evaluate(rank: int, world: int, file: str, results: str) -> None:
    """Score the clips of one rank, as a Runner's test loop does."""
    from mmengine.dataset import DefaultSampler

    if world > 1:
        torch.distributed.init_process_group(
            'gloo', init_method=f'file://{file}', rank=rank, world_size=world
        )
    torch.set_num_threads(1)
    evaluator = Evaluator([PSNR(), SSIM('y')])
    data = Clips()
    sampler = DefaultSampler(data, shuffle=False)
    loader = DataLoader(data, 2, sampler=sampler, collate_fn=list)
    for samples in loader:
        evaluator.process(data_samples=samples)
    torch.save(evaluator.evaluate(len(data)), f'{results}{rank}')
    if world > 1:  # a rank that leaves first makes the other abort
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def test_two_ranks_equal_one(tmp_path: Path):
    """Ranks get 9 clips each; the eighteenth is a padded repetition."""
    results = str(tmp_path / 'result')
    evaluate(0, 1, '', results)
    one = torch.load(results + '0')
    mp.spawn(evaluate, (2, str(tmp_path / 'store'), results), nprocs=2)
    assert torch.load(results + '0') == torch.load(results + '1')
    assert torch.load(results + '0') == pytest.approx(one, abs=1e-12)
    assert one.keys() == {'A/PSNR', 'B/PSNR', 'A/SSIM_Y', 'B/SSIM_Y'}
    for dataset in 'AB':
        found = one[f'{dataset}/PSNR']
        assert found == pytest.approx(expected_psnr(dataset), abs=1e-9)


def test_one_record_for_each_clip():
    metric = PSNR()
    metric.process(None, clip_set())
    assert [r['name'] for r in metric.results] == [
        f'clip{i}' for i in range(17)
    ]
    missing = [i for i, r in enumerate(metric.results) if r['score'] is None]
    assert missing == [3, 7, 11, 15]
    first = metric.results[0]
    assert first['score'] == pytest.approx(sum(first['parts']) / 3)
    assert len(first['parts']) == 3


def test_a_set_without_truth_is_left_out():
    metric = PSNR()
    metric.process(None, [sample(0, 'A'), sample(1, 'B', gt=False)])
    found = metric.evaluate(2)
    assert found == {'A/PSNR': pytest.approx(psnr(*clips(0)))}


def test_without_a_set_the_name_stands_alone():
    metric = PSNR()
    metric.process(None, [sample(0, '')])
    assert metric.evaluate(1).keys() == {'PSNR'}


def test_options_reach_the_functions():
    pred, gt = clips()
    assert PSNR('y', 3).score(pred, gt) == psnr(pred, gt, 'y', 3)
    assert SSIM('y', 3).score(pred, gt) == ssim(pred, gt, 'y', 3)


@pytest.mark.parametrize(
    ('config', 'name', 'better'),
    [
        ({'type': 'PSNR'}, 'PSNR', True),
        ({'type': 'PSNR', 'channel': 'y'}, 'PSNR_Y', True),
        ({'type': 'SSIM'}, 'SSIM', True),
    ],
)
def test_registered_names(config: dict, name: str, better: bool):
    metric = METRICS.build(config)
    assert isinstance(metric, star.evaluation.VideoMetric)
    assert (metric.name, metric.higher_is_better) == (name, better)


def test_wrong_clip_is_named():
    wrong = sample(0)
    wrong.gt = wrong.gt[:1]
    with pytest.raises(ValueError, match='PSNR of A/clip0: `pred` and `gt`'):
        PSNR().process(None, [wrong])


def test_score_needs_a_truth():
    with pytest.raises(ValueError, match='PSNR needs a ground truth'):
        PSNR().score(clips()[0])


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: PSNR('luma'), "`channel` must be .* got 'luma'"),
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
    metric.process(None, [VideoSample(pred=pred, name='x', dataset='A')])
    mean = sum(values) / 2
    assert metric.evaluate(1) == {
        'A/Ewarp_lai_small': pytest.approx(mean, rel=1e-6)
    }
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
