from pathlib import Path

import torch
from torch import nn

from star.engine.optim_wrapper import BFloat16OptimWrapper
from star.utils.checkpoint_folder import load_weights
from tests.test_engine.configs import shrunk_config, train


def test_forward_runs_in_bfloat16():
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    wrapper = BFloat16OptimWrapper(optimizer=optimizer)
    before = model.weight.detach().clone()
    x = torch.randn(5, 3)
    with wrapper.optim_context(model):
        out = model(x)
        assert out.dtype == torch.bfloat16
    assert model(x).dtype == torch.float32
    wrapper.update_params(out.float().sum())
    assert model.weight.dtype == torch.float32
    step = 0.1 * x.sum(0).expand(2, 3)
    torch.testing.assert_close(
        model.weight.detach(), before - step, rtol=0, atol=0.02
    )


def test_trains_the_small_model(tmp_path):
    config = shrunk_config('tiny', tmp_path)
    config.optim_wrapper.type = 'BFloat16OptimWrapper'
    runner = train(config)
    assert isinstance(runner.optim_wrapper, BFloat16OptimWrapper)
    saved = load_weights(Path(runner.work_dir) / 'iter_2')
    current = runner.model.state_dict()
    assert set(saved) == set(current)
    for name, value in current.items():
        assert torch.equal(saved[name], value), name
        assert value.dtype == torch.float32
    assert runner.model.backbone.conv_out.weight.any()  # was zero
