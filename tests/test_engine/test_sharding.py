from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import FUNCTIONS
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel

from star.engine.sharding import prepare_sharded, wrap_by_class


@pytest.mark.parametrize(
    ('recurse', 'names', 'expected'),
    [
        (True, (), True),
        (False, (), False),
        (False, ('Linear', 'Conv2d'), True),
        (False, ('Conv2d',), False),
    ],
)
def test_names_the_pieces(recurse, names, expected):
    layer = nn.Linear(2, 2)
    assert wrap_by_class(layer, recurse, 6, names) == expected


def test_is_found_as_the_strategy_looks_for_it():
    with FUNCTIONS.switch_scope_and_registry(None):
        assert FUNCTIONS.get('star.wrap_by_class') is wrap_by_class


@pytest.fixture
def alone():
    """A group of one process."""
    torch.distributed.init_process_group(
        'gloo', store=torch.distributed.HashStore(), rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()


def runner(net, ignored=(), **paramwise):
    model = FullyShardedDataParallel(
        net,
        device_id=torch.device('cpu'),
        use_orig_params=True,
        auto_wrap_policy=lambda module, recurse, nonwrapped_numel: (
            recurse or isinstance(module, nn.Sequential)
        ),
        ignored_modules=list(ignored),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=1)
    settings = Config({'optim_wrapper': {'paramwise_cfg': paramwise}})
    wrapper = OptimWrapper(optimizer, clip_grad={'max_norm': 1})
    return SimpleNamespace(model=model, optim_wrapper=wrapper, cfg=settings)


def net(dtype=None):
    return nn.ModuleDict(
        {
            'a': nn.Linear(2, 3, dtype=dtype),
            'b': nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)).to(dtype),
        }
    )


def test_clips_where_a_rank_has_no_gradient(alone):
    """Ranks that have some would wait for it."""
    run = runner(net())
    prepare_sharded(run)
    run.optim_wrapper.message_hub.log_scalars.clear()
    run.optim_wrapper._clip_grad()
    logged = run.optim_wrapper.message_hub.log_scalars['train/grad_norm']
    assert logged.data[0].tolist() == [0]
    prepare_sharded(SimpleNamespace(model=net()))  # not sharded


def test_frozen_parts_may_be_ignored(alone):
    parts = net()
    parts['a'].requires_grad_(False)
    prepare_sharded(runner(parts, [parts['a']]))


def test_trained_parts_may_not_be_ignored(alone):
    parts = net()
    with pytest.raises(ValueError, match=r'`ignored_modules` has a.weight'):
        prepare_sharded(runner(parts, [parts['a']]))


def test_other_precision(alone):
    with pytest.raises(ValueError, match=r'float32, a.weight is .*bfloat16'):
        prepare_sharded(runner(net(torch.bfloat16)))


def test_keys_that_wrappers_hide(alone):
    prepare_sharded(runner(net(), custom_keys={'b': {'lr_mult': 2}}))
    prepare_sharded(runner(net(), custom_keys={'0.weight': {'lr_mult': 2}}))
    keys = {'bias': {}, 'b.0': {'lr_mult': 2}}
    with pytest.raises(
        ValueError, match=r"'b.0' means .* where b.0.weight is"
    ):
        prepare_sharded(runner(net(), custom_keys=keys))
