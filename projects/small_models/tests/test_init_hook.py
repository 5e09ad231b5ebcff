from types import SimpleNamespace

import pytest
import torch
from torch import nn

from projects.small_models.autoencoder_trainer import AutoencoderTrainer
from projects.small_models.init_hook import InitFromDataHook
from star.engine.checkpointing import find_last, set_resume
from tests.test_engine.configs import shrunk_config, train


@pytest.fixture
def inits(monkeypatch):
    """What `init_from_data` was called with, and the weights it left."""
    calls = []
    method = AutoencoderTrainer.init_from_data

    def spy(self, batches):
        method(self, batches)
        state = {k: v.clone() for k, v in self.state_dict().items()}
        calls.append((batches, state))

    monkeypatch.setattr(AutoencoderTrainer, 'init_from_data', spy)
    return calls


HOOK = [{'type': 'InitFromDataHook', 'num_items': 3}]


def test_initialises_a_new_run_only(tmp_path, inits):
    options = {
        'custom_hooks': HOOK,
        'default_hooks.checkpoint.save_all': True,
    }
    runner = train(shrunk_config('tiny_vae', tmp_path, **options))
    ((batches, state),) = inits
    assert len(batches) == 3
    for batch in batches:
        assert batch['inputs'][0].shape == (2, 3, 16, 24)
        assert len(batch['data_samples']) == 1
    now = runner.model.state_dict()
    changed = {k for k, v in state.items() if not torch.equal(v, now[k])}
    decoder = 'autoencoder.vae.decoder.'
    assert changed
    assert all(
        key.startswith((f'{decoder}mid_block.', f'{decoder}up_blocks.'))
        for key in changed
    )

    saved = find_last(runner.work_dir)
    assert saved.name == 'iter_2'
    config = shrunk_config('tiny_vae', tmp_path, 3, **options)
    set_resume(config, saved)
    assert train(config).iter == 3
    assert len(inits) == 1  # its weights came from the checkpoint

    weights = tmp_path / 'weights.pth'
    torch.save(runner.model.state_dict(), weights)
    config = shrunk_config(
        'tiny_vae',
        tmp_path,
        1,
        load_from=str(weights),
        work_dir=str(tmp_path / 'other'),
        **options,
    )
    train(config)
    assert len(inits) == 1


class Initialised(nn.Module):
    def init_from_data(self, batches):
        self.batches = batches


@pytest.mark.parametrize(
    'iteration, load_from, expected',
    [
        (0, None, [[0], [1], [2]]),
        (1, None, None),
        (0, 'a.pth', None),
    ],
)
def test_a_wrapped_model_is_found(iteration, load_from, expected):
    model = Initialised()
    loader = SimpleNamespace(dataset=range(9), collate_fn=lambda items: items)
    runner = SimpleNamespace(
        iter=iteration,
        cfg={'load_from': load_from},
        train_dataloader=loader,
        model=nn.DataParallel(model),
    )
    InitFromDataHook(num_items=3).before_train(runner)
    assert getattr(model, 'batches', None) == expected
