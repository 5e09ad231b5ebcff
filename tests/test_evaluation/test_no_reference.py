"""Metrics of the restored clip alone: options, parts and files."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from star.evaluation import DOVER, ILNIQE, NIQE, FasterVQA, no_reference
from star.evaluation.functional.dover import DoverScores
from star.evaluation.functional.faster_vqa import FasterVQAScore
from star.evaluation.functional.ilniqe import ilniqe_frames
from star.evaluation.functional.niqe import niqe_frames
from star.evaluation.weight_files import FILES
from star.registry import METRICS
from tests.paths import WEIGHTS


def needs(name: str):
    found = WEIGHTS is not None and any(
        (WEIGHTS / n).is_file() for n in (name, *FILES[name].names)
    )
    return pytest.mark.skipif(
        not found, reason=f'no {name} (set STAR_WEIGHTS)'
    )


def clip(frames: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    shape = (frames, 3, height // 4, width // 4)
    coarse = torch.rand(shape, generator=generator) * 255
    whole = nn.functional.interpolate(coarse, scale_factor=4, mode='bicubic')
    noise = 4 * torch.randn(whole.shape, generator=generator)
    return (whole + noise).clamp(0, 255).to(torch.uint8)


@needs('niqe_pris_params.npz')
@pytest.mark.parametrize(
    ('channel', 'name'), [('gray', 'NIQE'), ('y', 'NIQE_Y')]
)
def test_niqe(channel: str, name: str):
    metric = NIQE(channel, weights_dir=str(WEIGHTS), border=4, every=2)
    pred = clip(3, 200, 300)
    found = metric.measure(pred)
    expected = niqe_frames(pred[::2], metric.model, 4, channel).tolist()
    assert found.frames == [0, 2]
    assert found.parts == expected
    assert found.score == pytest.approx(sum(expected) / 2)
    about = metric.describe()
    assert (about['name'], about['higher_is_better']) == (name, False)
    digest = FILES['niqe_pris_params.npz'].sha256
    assert about['weights'] == {'niqe_pris_params.npz': digest}


@needs('ILNIQE_templateModel.mat')
def test_ilniqe():
    pytest.importorskip('scipy', reason='the extra `metrics`')
    metric = ILNIQE('matlab', weights_dir=str(WEIGHTS), border=8, frames=[1])
    assert metric.name == 'ILNIQE_matlab'
    pred = clip(2, 96, 120)
    found = metric.measure(pred)
    inner = pred[1:, :, 8:-8, 8:-8]
    expected = ilniqe_frames(inner, metric.model, 'matlab').tolist()
    assert (found.frames, found.parts) == ([1], expected)
    assert list(metric.describe()['weights'].values()) == [
        FILES['ILNIQE_templateModel.mat'].sha256
    ]


def test_dover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What is handed over and passed on; the network is tested apart."""
    (tmp_path / 'DOVER.pth').write_bytes(b'')
    calls = []

    def scores(*args: object) -> DoverScores:
        calls.append(args)
        return DoverScores(0.5, 0.1, 0.9, -0.2, 0.3)

    network = nn.Identity()
    monkeypatch.setattr(no_reference, 'load_dover', lambda path: network)
    monkeypatch.setattr(no_reference, 'dover_scores', scores)
    metric = DOVER(
        'evalcrafter',
        weights_dir=str(tmp_path),
        seed=3,
        repeats=2,
        antialias=True,
    )
    pred = clip(2, 64, 64)
    found = metric.measure(pred)
    assert calls == [(network, pred, 'evalcrafter', 3, 2, True)]
    assert (found.score, found.parts, found.frames) == (0.5, [], [])
    assert found.extras == {
        'technical': 0.1,
        'aesthetic': 0.9,
        'raw_technical': -0.2,
        'raw_aesthetic': 0.3,
    }
    about = metric.describe()
    assert (about['name'], about['unit']) == ('DOVER_evalcrafter', 'clip')
    assert about['options'] == {
        'preset': 'evalcrafter',
        'seed': 3,
        'repeats': 2,
        'antialias': True,
    }


def test_faster_vqa(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What is handed over and passed on; the network is tested apart."""
    (tmp_path / 'FAST_VQA_3D_1_1.pth').write_bytes(b'')
    calls = []

    def score(*args: object) -> FasterVQAScore:
        calls.append(args)
        return FasterVQAScore(0.5, 0.1)

    network = nn.Identity()
    monkeypatch.setattr(no_reference, 'load_faster_vqa', lambda path: network)
    monkeypatch.setattr(no_reference, 'faster_vqa', score)
    metric = FasterVQA('training', None, str(tmp_path), seed=3, repeats=2)
    pred = clip(2, 64, 64)
    found = metric.measure(pred)
    assert calls == [(network, pred, 'training', 3, 2)]
    assert (found.score, found.extras) == (0.5, {'raw': 0.1})
    about = metric.describe()
    assert (about['name'], about['unit']) == ('FasterVQA_training', 'clip')
    assert about['options'] == {'preset': 'training', 'seed': 3, 'repeats': 2}
    assert list(about['weights']) == ['FAST_VQA_3D_1_1.pth']


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        ({'type': 'NIQE', 'channel': 'rgb'}, "'gray' or 'y', got 'rgb'"),
        ({'type': 'NIQE', 'border': -2}, '`border` must be at least 0'),
        ({'type': 'ILNIQE', 'preset': 'python'}, '`preset` must be one of'),
        ({'type': 'ILNIQE', 'weights': 'none.mat'}, 'no file none.mat'),
        ({'type': 'DOVER', 'preset': 'fast'}, '`preset` must be one of offic'),
        ({'type': 'DOVER', 'repeats': 0}, '`repeats` must be at least 1'),
        ({'type': 'DOVER', 'seed': -1}, '`seed` must be at least 0, got -1'),
        ({'type': 'DOVER', 'weights': 'none.pth'}, 'no file none.pth'),
        ({'type': 'FasterVQA', 'preset': 'fast'}, 'official, training, got'),
        ({'type': 'FasterVQA', 'seed': -1}, '`seed` must be at least 0'),
        ({'type': 'FasterVQA', 'repeats': 0}, '`repeats` must be at least 1'),
        ({'type': 'FasterVQA', 'weights': 'none.pth'}, 'no file none.pth'),
    ],
)
def test_refuses_options(config: dict, message: str):
    with pytest.raises(ValueError, match=message):
        METRICS.build(config)
