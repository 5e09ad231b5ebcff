"""tools/analysis_tools/benchmark_training.py on a few small clips."""

import json
from pathlib import Path

import pytest
import torch

from star.registry import DATASETS, HOOKS
from tests.test_tools.tools import load_tool

CHANGES = [
    'train_dataloader.dataset.num_frames=1',
    'train_dataloader.dataset.pipeline.1.height=40',
    'train_dataloader.dataset.pipeline.1.width=32',
    'optim_wrapper.clip_grad=None',  # which the bare step lacks
]


@pytest.fixture
def tool():
    yield load_tool('analysis_tools/benchmark_training.py')
    HOOKS.module_dict.pop('BareStepHook')
    DATASETS.module_dict.pop('NoiseClips')


def test_the_bare_network_learns_the_same(
    tool, tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture
):
    runners, build = [], tool.build_runner
    monkeypatch.setattr(
        tool, 'build_runner', lambda c: runners.append(build(c)) or runners[0]
    )
    monkeypatch.setattr(tool, 'WARM', 1)
    path = tmp_path / 'times.json'
    words = ['tiny', '--iterations', '3', '--json', str(path)]
    assert tool.main([*words, '--cfg-options', *CHANGES]) == 0
    (hook,) = (h for h in runners[0].hooks if type(h) is tool.BareStepHook)
    trained = dict(runners[0].model.named_parameters())
    for name, bare in hook.model.named_parameters():
        torch.testing.assert_close(trained[name], bare, msg=name)
    found = json.loads(path.read_text())
    assert [*found] == ['seconds', 'processor_seconds']
    for row in found.values():
        assert row['training'] > 0 and row['bare'] > 0 and row['ratio'] > 0
    assert capsys.readouterr().out.count('ratio') == 2


def test_configs_without_a_training_are_refused(
    tool, capsys: pytest.CaptureFixture
):
    assert tool.main(['bicubic']) == 2
    assert 'bicubic' in capsys.readouterr().err
