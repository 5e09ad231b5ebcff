"""A model that two ranks share out is trained as one that each holds."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from safetensors.torch import load_file

from star.utils.paths import config_path
from tests.paths import ROOT
from tests.test_apis.folders import write_folder
from tests.test_distributed import CHANGES, distance
from tests.test_engine.toy import read_losses

STRATEGY = """
_base_ = 'plain_star.py'
runner_type = 'FlexibleRunner'
strategy = dict(
    type='FSDPStrategy',
    model_wrapper=dict(
        type='MMFullyShardedDataParallel',
        ignored_modules=['autoencoder', 'text_encoder'],
        auto_wrap_policy=dict(
            type='star.wrap_by_class', names=('I2VGenUNet', 'UNetControlNet')
        ),
    ),
)
"""


def write_configs(folder: Path) -> None:
    clips = write_folder(folder / 'clips', 'ab', frames=3)
    (clips / 'text').mkdir()
    for name in 'ab':
        (clips / 'text' / f'{name}.txt').write_text('')
    config = Config.fromfile(config_path('star/tiny.py'))
    changes = {key: value for key, value in CHANGES.items() if value != '[]'}
    config.merge_from_dict(
        {
            **changes,
            'visualizer.vis_backends': [],
            'train_cfg.max_iters': 2,
            'train_dataloader.batch_size': 1,
            'train_dataloader.dataset.data_root': str(clips),
            'optim_wrapper.clip_grad.max_norm': 0.01,
            'default_hooks.checkpoint.interval': 2,
            'custom_hooks': [{'type': 'TrainedEMAHook'}],
        }
    )
    config.default_hooks.validation = {
        'type': 'ValidationClipsHook',
        'interval': 2,
        'num_clips': 1,
        'metrics': [{'type': 'PSNR'}],
        'dataset': config.train_dataloader.dataset,
    }
    config.dump(folder / 'plain_star.py')
    (folder / 'sharded_star.py').write_text(STRATEGY)


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('sharded')
    write_configs(folder)
    result = subprocess.run(
        [sys.executable, '-m', 'tests.sharded_runs', str(folder)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert result.returncode == 0, result.stdout[-500:] + result.stderr[-4000:]
    return folder


def optimizer_distance(a: dict, b: dict) -> float:
    assert a['param_groups'] == b['param_groups']
    assert a['state'].keys() == b['state'].keys() and a['state']
    return max(distance(a['state'][i], b['state'][i]) for i in a['state'])


CASES = [
    *((name, 'OptimWrapper', 1, False) for name in ('norm', 'loose')),
    *((name, 'OptimWrapper', 1, False) for name in ('largest', 'sum')),
    ('value', 'OptimWrapper', 1, False),
    ('norm', 'OptimWrapper', 2, False),
    ('norm', 'BFloat16OptimWrapper', 2, False),
    ('norm', 'ScaledOptimWrapper', 2, False),
    ('norm', 'OptimWrapper', 1, True),
]


@pytest.mark.parametrize('case', CASES)
def test_clips_by_the_norm_over_all_ranks(folder: Path, case: tuple) -> None:
    name, _, counts, late = case
    ranks = [torch.load(folder / f'clipped_{rank}.pt') for rank in (0, 1)]
    plain, sharded = ranks[0][case][False], ranks[0][case][True]
    shares = [rank[case][True][0] for rank in ranks]
    norms = torch.tensor(shares).sum(0).sqrt()
    # what the steps of the optimiser saw
    expected = torch.tensor(plain[0]).sqrt()
    assert len(norms) == 4 // counts
    torch.testing.assert_close(norms, expected, rtol=1e-5, atol=0)
    if name == 'norm':
        torch.testing.assert_close(norms, torch.full_like(norms, 0.01))
    if late:
        assert shares[0] == [0] * 4  # it clips along with the others
    # what was logged
    for rank in ranks:
        assert rank[case][True][1] == pytest.approx(plain[1], rel=1e-5)
    assert len(plain[1]) == (0 if name == 'value' else len(norms))
    if name == 'loose':
        torch.testing.assert_close(norms, torch.tensor(plain[1]))
    assert distance(sharded[2], plain[2]) < 1e-5


def test_state_is_that_of_the_unsharded_model(folder: Path) -> None:
    found, other = (torch.load(folder / f'gathered_{r}.pt') for r in (0, 1))
    for when, atol in (('', 0), (' later', 1e-6)):
        weights, optimizer = found[f'plain{when}']
        whole, gathered = found[f'sharded{when}']
        assert distance(weights, whole) <= atol
        assert optimizer_distance(optimizer, gathered) <= atol
        assert other[f'sharded{when}'][0] == {}
    weights = found['plain'][0]
    assert found['shapes'] == {k: v.shape for k, v in weights.items()}
    assert len(found['doubled']) == len(weights) - 1  # not the buffer
    assert all(
        torch.equal(v, 2 * weights[k]) for k, v in found['doubled'].items()
    )


def test_tensors_that_do_not_fit(folder: Path) -> None:
    error = torch.load(folder / 'gathered_1.pt')['error']
    assert '1 unknown (x)' in error
    assert 'frozen.weight is (3,) not (40, 6)' in error


def state(folder: Path) -> tuple[dict, dict, dict]:
    return (
        load_file(folder / 'weights.safetensors'),
        load_file(folder / 'ema.safetensors'),
        torch.load(folder / 'training.pt', weights_only=True),
    )


def scalars(training: dict, name: str) -> torch.Tensor:
    return torch.as_tensor(training['histories'][f'train/{name}'][0])


@pytest.mark.parametrize(
    ('name', 'other', 'atol'),
    [
        ('plain', 'sharded', 1e-5),
        ('sharded', 'on', 0),
        ('sharded', 'back', 1e-5),
    ],
)
def test_runs_are_equal(
    folder: Path, name: str, other: str, atol: float
) -> None:
    """Sharded or not; resumed sharded, and resumed without."""
    weights, averages, training = state(folder / name / 'iter_6')
    others = state(folder / other / 'iter_6')
    assert distance(weights, others[0]) <= atol
    assert distance(averages, others[1]) <= atol
    assert distance(weights, load_file(_before(folder / name))) > 1e-2
    own, theirs = training['optimizer'], others[2]['optimizer']
    assert optimizer_distance(own, theirs) <= atol
    for key in ('config', 'draw', 'frozen', 'iteration', 'schedulers'):
        assert training[key] == others[2][key]
    for scalar in ('loss', 'grad_norm', 'grad_norm_clipped'):
        torch.testing.assert_close(
            scalars(training, scalar),
            scalars(others[2], scalar),
            rtol=atol,
            atol=atol,
        )
    for rank in ('rank_0', 'rank_1'):
        losses = dict(read_losses(folder / name / rank))
        for iteration, loss in read_losses(folder / other / rank):
            assert loss == pytest.approx(losses[iteration], abs=atol)


def _before(run: Path) -> Path:
    return run / 'iter_5' / 'weights.safetensors'


def test_averages_are_validated_and_the_weights_come_back(
    folder: Path,
) -> None:
    """The average has the loss that it has in the unsharded run."""
    plain = state(folder / 'plain' / 'iter_6')[2]
    sharded = state(folder / 'sharded' / 'iter_6')[2]
    own, others = (scalars(x, 'average_loss') for x in (plain, sharded))
    assert len(own) == 5  # the checkpoint is written before the sixth
    torch.testing.assert_close(own, others, rtol=1e-5, atol=1e-5)


def test_bad_losses_are_skipped(folder: Path) -> None:
    """One rank alone saw what is not finite."""
    plain = state(folder / 'plain_bad' / 'iter_3')
    sharded = state(folder / 'sharded_bad' / 'iter_3')
    assert distance(plain[0], sharded[0]) < 1e-5
    steps = [e['step'] for e in sharded[2]['optimizer']['state'].values()]
    assert steps == [2] * 4  # of three


def test_commands_give_the_same_numbers(folder: Path) -> None:
    plain = state(folder / 'plain_star' / 'iter_2')
    sharded = state(folder / 'sharded_star' / 'iter_2')
    assert distance(plain[0], sharded[0]) < 1e-6
    assert distance(plain[1], sharded[1]) < 1e-6
    for training in (plain[2], sharded[2]):
        clipped = scalars(training, 'grad_norm_clipped')
        assert clipped.tolist() == pytest.approx([0.01, 0.01], rel=1e-3)
        assert (scalars(training, 'grad_norm') > 0.01).all()
    scores = []
    for name in ('plain', 'sharded'):
        path = folder / 'tested' / name / 'results.json'
        scores.append(json.loads(path.read_text())['sets']['mine']['scores'])
    assert scores[0]['PSNR'] == pytest.approx(scores[1]['PSNR'], abs=1e-3)
    assert scores[0]['PSNR'] > 10
    validated = []
    for name in ('plain_star', 'sharded_star'):
        path = folder / name / 'validation' / 'iter_2' / 'scores.json'
        (clip,) = json.loads(path.read_text()).values()
        validated.append(clip['PSNR'])
    assert validated[0] == pytest.approx(validated[1], abs=1e-3)
