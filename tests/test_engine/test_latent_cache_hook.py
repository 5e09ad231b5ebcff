from types import SimpleNamespace

import pytest
from mmengine.model import MMDistributedDataParallel
from torch import nn

from star.engine.latent_cache_hook import CheckLatentCacheHook


class Cache:
    def __init__(self):
        self.seen = []

    def check_model(self, model):
        self.seen.append(model)
        if model.bias is not None:
            raise ValueError('other weights')


def run(dataset, model):
    loader = SimpleNamespace(dataset=dataset)
    runner = SimpleNamespace(train_dataloader=loader, model=model)
    CheckLatentCacheHook().before_train(runner)


def test_the_bare_model_is_checked():
    cache, model = Cache(), nn.Linear(1, 1, bias=False)
    run(cache, model)
    wrapped = MMDistributedDataParallel.__new__(MMDistributedDataParallel)
    nn.Module.__init__(wrapped)
    wrapped.module = model
    run(cache, wrapped)
    assert cache.seen == [model, model]


def test_refused():
    with pytest.raises(ValueError, match='other weights'):
        run(Cache(), nn.Linear(1, 1))


def test_other_data_sets_pass():
    run(object(), nn.Linear(1, 1))
