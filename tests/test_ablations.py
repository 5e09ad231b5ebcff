"""Every row of tables 3, 4, 5 and 7: its options reach the modules, it learns.

The networks are shrunk; LIEM, losses and what is frozen are the row's own. The
rows of the small model keep their size and see small clips.
"""

import copy
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from torch import nn

from star.apis.inference.build import load_config
from star.models import LIEM
from star.models.losses.dynamic_frequency_loss import DynamicFrequencyLoss
from star.registry import MODELS
from star.report.published import load_ablations, published_ablations
from star.structures import VideoSample
from star.utils.paths import config_root
from tests.test_models.fakes import (
    SMALL_SIZES,
    CountingTextEncoder,
    FoldingAutoencoder,
    random_clip,
)

FOLDER = config_root() / 'ablations'
FILES = sorted(path.stem for path in FOLDER.glob('*.py'))
ROWS = [name for name in FILES if not name.startswith('tiny_')]
SMALL = [name for name in FILES if name not in ROWS]
TINY = config_root() / 'star' / 'tiny.py'
NETWORK = {'in_dim': 3, 'sizes': SMALL_SIZES, 'dropout': 0.0}
DIRECT = {
    'alpha': 2,
    'beta': 1,
    'b': 'linear',
    'separate': True,
    'order': 'direct',
    'filter': 'radial',
}
# where the gates differ: axes, position, gate
GATES = {
    'liem_none': ((), 'i', 'before_norm'),
    'liem_spatial': (('spatial',), 'i', 'before_norm'),
    'liem_temporal': (('temporal',), 'i', 'before_norm'),
    'liem_position_ii': (('spatial', 'temporal'), 'ii', 'before_norm'),
    'liem_position_iii': (('spatial', 'temporal'), 'iii', 'before_norm'),
    'liem_after_norm': (('spatial', 'temporal'), 'i', 'after_norm'),
}
# where the frequency loss differs from the model's; None for no loss
LOSSES = {
    **dict.fromkeys([*GATES, 'liem_both']),
    'frequency_whole': {'alpha': 1, 'separate': False},
    'frequency_direct': {'alpha': 1},
    'frequency_inverse': {'alpha': 1, 'order': 'inverse'},
    'frequency_official': {'filter': 'official'},
    'alpha_0p25': {'alpha': 0.25},
    'alpha_0p5': {'alpha': 0.5},
    'alpha_1p5': {'alpha': 1.5},
    'alpha_2': {},
    'b_exponential': {'b': 'exponential'},
    'beta_0p25': {'beta': 0.25},
    'beta_0p75': {'beta': 0.75},
    'beta_1p5': {'beta': 1.5},
    'beta_2': {'beta': 2},
}
# what the rows of the small model change in tiny.py, and to what
GATE, FREQUENCY = 'model.{}.liem', 'model.losses.frequency'
BOTH = [GATE.format('backbone'), GATE.format('controlnet')]
PAPER = {'type': 'DynamicFrequencyLoss', 'alpha': 2, 'beta': 1}
DIFFERENCES = {
    'tiny_liem_none': dict.fromkeys(BOTH),
    'tiny_liem_after_norm': {
        key: {'type': 'LIEM', 'gate': 'after_norm'} for key in BOTH
    },
    'tiny_frequency_none': {FREQUENCY: None},
    'tiny_frequency_official': {FREQUENCY: {**PAPER, 'filter': 'official'}},
}
every_row = pytest.mark.parametrize('name', ROWS)
every_small_row = pytest.mark.parametrize('name', SMALL)


@lru_cache
def build(name: str) -> nn.Module:
    """Build a row's model, its networks and clips shrunk."""
    settings = copy.deepcopy(load_config(FOLDER / f'{name}.py').model)
    settings.autoencoder = {'type': FoldingAutoencoder}
    settings.text_encoder = {'type': CountingTextEncoder}
    settings.backbone.update(out_dim=3, **NETWORK)
    settings.controlnet.update(NETWORK)
    settings.losses.window.update(num_frames=2, crop_size=(8, 8))
    torch.manual_seed(0)
    return MODELS.build(settings)


def build_small(path: Path) -> nn.Module:
    torch.manual_seed(0)
    return MODELS.build(load_config(path).model)


def row(name: str) -> Path:
    return FOLDER / f'{name}.py'


def gates(network: nn.Module, kind: type) -> list[LIEM]:
    return [
        m
        for m in network.modules()
        if isinstance(m, LIEM) and isinstance(m.conv, kind)
    ]


def test_the_rows_are_those_of_the_tables():
    assert set(ROWS) == LOSSES.keys()
    rows = [p for n in ROWS for p in published_ablations(f'ablations/{n}.py')]
    assert sorted(rows) == sorted(load_ablations())
    ours = [n for n in ROWS if not published_ablations(f'ablations/{n}.py')]
    assert ours == ['frequency_official', 'liem_after_norm']


@every_row
def test_options_reach_the_gates(name: str):
    model = build(name)
    axes, position, gate = GATES.get(
        name, (('spatial', 'temporal'), 'i', 'before_norm')
    )
    for network in (model.backbone, model.controlnet):
        found = {
            'spatial': gates(network, nn.Conv2d),
            'temporal': gates(network, nn.Linear),
        }
        for axis, each in found.items():
            assert bool(each) == (axis in axes), axis
            for module in each:
                assert (module.position, module.gate) == (position, gate)


@every_row
def test_options_reach_the_loss(name: str):
    losses, expected = build(name).objective.on_pixels, LOSSES[name]
    if expected is None:
        assert len(losses) == 0
        return
    (loss,) = losses
    assert isinstance(loss, DynamicFrequencyLoss)
    found = {key: getattr(loss, key) for key in DIRECT}
    assert found == {**DIRECT, **expected}


@every_row
def test_a_training_step(name: str):
    """The ControlNet and the backbone's gates change, and nothing else."""
    model = build(name).train()
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    samples = [
        VideoSample(gt=random_clip(3, 8, 8, s), prompt='a', name='a', seed=s)
        for s in (1, 2)
    ]
    data = {
        'inputs': [random_clip(3, 2, 2, s + 9) for s in (1, 2)],
        'data_samples': samples,
    }
    learning = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, 1e-2)
    for _ in range(2):  # control reaches the backbone after the first
        batch = model.data_preprocessor(data, True)
        found = model(**batch, mode='loss')
        losses = {n: v for n, v in found.items() if n.startswith('loss_')}
        assert all(value.isfinite() for value in losses.values())
        expected = {'loss_velocity'}
        expected |= set() if LOSSES[name] is None else {'loss_frequency'}
        assert losses.keys() == expected
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    changed = {
        n for n, p in model.named_parameters() if not p.equal(before[n])
    }
    axes = GATES.get(name, (('spatial', 'temporal'),))[0]
    assert any(n.startswith('controlnet.') for n in changed)
    own = {n for n in changed if not n.startswith('controlnet.')}
    assert all(n.startswith('backbone.') and '.local' in n for n in own)
    assert bool(own) == bool(axes)


def test_the_small_rows_are_those_listed():
    assert set(SMALL) == DIFFERENCES.keys()
    assert not any(published_ablations(f'ablations/{n}.py') for n in SMALL)


@every_small_row
def test_a_small_row_states_only_its_difference(name: str):
    expected = load_config(TINY).to_dict()
    for key, value in DIFFERENCES[name].items():
        *parts, last = key.split('.')
        place = expected
        for part in parts:
            place = place[part]
        place[last] = value
    assert load_config(FOLDER / f'{name}.py').to_dict() == expected


@every_small_row
def test_options_of_a_small_row_reach_the_modules(name: str):
    model = build_small(row(name))
    gate = 'after_norm' if name == 'tiny_liem_after_norm' else 'before_norm'
    for network in (model.backbone, model.controlnet):
        for kind in (nn.Conv2d, nn.Linear):
            found = gates(network, kind)
            assert bool(found) == (name != 'tiny_liem_none')
            assert all(m.gate == gate and m.position == 'i' for m in found)
    losses = [
        (loss.filter, loss.alpha, loss.beta, loss.b)
        for loss in model.objective.on_pixels
    ]
    assert losses == {
        'tiny_frequency_none': [],
        'tiny_frequency_official': [('official', 2, 1, 'linear')],
    }.get(name, [('radial', 2, 1, 'linear')])


def test_small_rows_with_gates_begin_alike():
    """So that a seed's rows differ by what they state alone."""
    first = build_small(TINY).state_dict()
    for name in set(SMALL) - {'tiny_liem_none'}:
        other = build_small(row(name)).state_dict()
        assert other.keys() == first.keys()
        assert all(other[key].equal(first[key]) for key in first)


@every_small_row
def test_a_training_step_of_a_small_row(name: str):
    """Both networks learn, the gates included, and nothing else."""
    model = build_small(row(name)).train()
    data = {
        'inputs': [random_clip(2, 10, 8, 3)],
        'data_samples': [VideoSample(gt=random_clip(2, 40, 32, 1), seed=1)],
    }
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    learning = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, 1e-2)
    for _ in range(3):  # layers that begin as zero let others through then
        found = model(**model.data_preprocessor(data, True), mode='loss')
        losses = {n: v for n, v in found.items() if n.startswith('loss_')}
        assert all(value.isfinite() for value in losses.values())
        assert ('loss_frequency' in losses) == (name != 'tiny_frequency_none')
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    changed = {
        n for n, p in model.named_parameters() if not p.equal(before[n])
    }
    parts = {n.partition('.')[0] for n in changed}
    assert parts == {'backbone', 'controlnet'}
    for part in parts:
        gated = any(part in n and '.local' in n for n in changed)
        assert gated == (name != 'tiny_liem_none')
