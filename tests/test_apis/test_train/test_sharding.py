import pytest
import torch
from mmengine.config import Config

from star.apis.inference.build import load_config
from star.apis.train.sharding import (
    check_launcher,
    check_strategy,
    is_sharded,
    place_on_cpu,
    without_device,
)
from star.apis.train.training import build_runner, check_training
from star.cli.main import main

WRAPPER = {'type': 'MMFullyShardedDataParallel'}


@pytest.fixture
def config() -> Config:
    config = load_config('tiny')
    config.runner_type = 'FlexibleRunner'
    config.strategy = {'type': 'FSDPStrategy', 'model_wrapper': WRAPPER}
    return config


def test_settings_that_fit(config: Config) -> None:
    check_training(config)
    check_training(load_config('i2vgen_fsdp'))
    check_training(load_config('i2vgen'))
    config.launcher = 'pytorch'
    check_launcher(config)
    config.strategy.type = 'mmengine.FSDPStrategy'
    check_strategy(config)
    assert is_sharded(config)
    config.strategy = {'type': 'DDPStrategy'}
    config.default_hooks.checkpoint.type = 'CheckpointHook'
    check_strategy(config)
    assert not is_sharded(config)


@pytest.mark.parametrize(
    ('changes', 'line'),
    [
        ({'runner_type': 'Runner'}, '`runner_type = "FlexibleRunner"`'),
        ({'strategy.type': 'FSDP2'}, "`strategy.type` must be .* 'FSDP2'"),
        (
            {'strategy.model_wrapper.use_orig_params': False},
            '`strategy.model_wrapper.use_orig_params` must be True, got False',
        ),
        (
            {'default_hooks.checkpoint.type': 'CheckpointHook'},
            'must be a SafeCheckpointHook, got CheckpointHook',
        ),
        ({'default_hooks.checkpoint': None}, 'SafeCheckpointHook, got None'),
        ({'custom_hooks': [{'type': 'EMAHook'}]}, 'use TrainedEMAHook'),
        (
            {'model_wrapper_cfg.type': 'MMFullyShardedDataParallel'},
            'shard with `strategy`',
        ),
    ],
)
def test_settings_that_would_not_be_kept(
    config: Config, changes: dict, line: str
) -> None:
    config.merge_from_dict(changes)
    with pytest.raises(ValueError, match=line) as caught:
        check_training(config)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize('kind', ['FSDPStrategy', 'DDPStrategy'])
def test_without_a_launcher(config: Config, kind: str) -> None:
    config.strategy = {'type': kind}
    config.launcher = 'none'
    line = 'star train CONFIG --gpus N` or `tools/dist_train.sh CONFIG N'
    with pytest.raises(ValueError, match=line) as caught:
        build_runner(config)
    assert len(str(caught.value).splitlines()) == 1


def test_the_command_says_how_to_start_it(
    tmp_path, capsys: pytest.CaptureFixture
) -> None:
    words = ['train', 'i2vgen_fsdp', '--work-dir', str(tmp_path)]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1 and 'star train CONFIG' in error
    assert not list(tmp_path.iterdir())


def test_device_is_not_recorded(config: Config) -> None:
    place_on_cpu(config)
    assert config.strategy.model_wrapper.device_id == torch.device('cpu')
    recorded = without_device(config)
    assert recorded.strategy.model_wrapper == WRAPPER
    assert 'device_id' in config.strategy.model_wrapper
    config.strategy = {'type': 'DDPStrategy'}
    place_on_cpu(config)
    assert config.strategy.model_wrapper == {'device_ids': None}
    assert without_device(config) is config
