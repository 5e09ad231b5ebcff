import pytest
import torch

from star.apis.inference.build import load_config
from star.apis.inference.weights import start_files
from star.apis.train.training import (
    RunOptions,
    apply_changes,
    build_runner,
    check_training,
    config_error,
    read_changes,
    run_config,
    start_processes,
)


@pytest.fixture
def config():
    return load_config('tiny')


def test_options_reach_the_config():
    changes = {'train_cfg.max_iters': 7, 'optim_wrapper.optimizer.lr': 0.5}
    options = RunOptions(work_dir='here', seed=9, changes=changes)
    config = run_config('tiny', options)
    assert config.work_dir == 'here'
    assert config.launcher == 'none'
    assert config.randomness.seed == 9
    assert config.train_dataloader.dataset.seed == 9
    assert config.train_cfg.max_iters == 7
    assert config.optim_wrapper.optimizer.lr == 0.5
    assert config.optim_wrapper.optimizer.type == 'AdamW'  # the rest stays


def test_defaults_of_the_options():
    config = run_config('tiny', RunOptions())
    assert config.work_dir == 'work_dirs/tiny'
    assert config.randomness == {'seed': 0, 'diff_rank_seed': True}
    assert 'seed' not in config.train_dataloader.dataset


@pytest.mark.parametrize(
    ('changes', 'line'),
    [
        ({'optimwrapper.lr': 1}, "did you mean 'optim_wrapper'"),
        ({'trian_cfg': {}}, "did you mean 'train_cfg'"),
        ({'qwertz': 1}, "no setting 'qwertz'"),
        (
            {'train_dataloader.dataset.pipeline.9.x': 1},
            'pipeline.9.x',
        ),
    ],
)
def test_misspelt_change(config, changes, line):
    with pytest.raises(ValueError, match=line) as caught:
        apply_changes(config, changes)
    assert len(str(caught.value).splitlines()) == 1


def test_changes_of_the_command_line():
    changes = read_changes(['a.b=1', 'c=[1,2]', 'd=None'])
    assert changes == {'a.b': 1, 'c': [1, 2], 'd': None}
    assert read_changes([]) == {}
    with pytest.raises(ValueError, match='--cfg-options takes KEY=VALUE'):
        read_changes(['a'])


def test_amp(config):
    assert config.optim_wrapper.type == 'OptimWrapper'
    config = run_config('tiny', RunOptions(amp=True))
    assert config.optim_wrapper.type == 'BFloat16OptimWrapper'
    changes = {'optim_wrapper.type': 'AmpOptimWrapper'}
    with pytest.raises(ValueError, match='`amp`'):
        run_config('tiny', RunOptions(amp=True, changes=changes))


def test_unknown_launcher():
    with pytest.raises(ValueError, match=r"`launcher` .* 'mpi'"):
        RunOptions(launcher='mpi')


def test_launcher_without_its_processes(config, monkeypatch):
    for name in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE'):
        monkeypatch.delenv(name, raising=False)
    config.launcher = 'pytorch'
    with pytest.raises(ValueError, match=r'use --gpus N'):
        start_processes(config)


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_slurm_without_gpu(config):
    config.launcher = 'slurm'
    with pytest.raises(ValueError, match="'slurm' needs a GPU"):
        start_processes(config)


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
@pytest.mark.parametrize('sharded', [False, True])
def test_processes_on_cpus(config, monkeypatch, sharded):
    backends = []
    monkeypatch.setattr(
        torch.distributed, 'init_process_group', backends.append
    )
    for name in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE'):
        monkeypatch.setenv(name, '1')
    config.launcher = 'pytorch'
    if sharded:
        config.strategy = {'type': 'FSDPStrategy'}
    start_processes(config)
    assert backends == ['gloo']
    if sharded:
        assert config.strategy.model_wrapper.device_id == torch.device('cpu')
    else:
        wrapper = config.model_wrapper_cfg
        assert wrapper.device_ids is None
        assert wrapper.gradient_as_bucket_view


def test_what_training_starts_from(config):
    full = load_config('i2vgen')
    start = start_files(full)
    assert set(start) == {'star', 'vae', 'text'}
    assert start['star'].file == 'venhancer_v2.pt'
    assert start['vae'] == full.weights.vae
    # a word means the files of that word
    assert start_files(full, 'heavy')['variants'] == full.weights.variants
    # a folder holds the start, not something that could pass for it
    assert start_files(full, 'folder') == start
    # without `start_weights` a run starts anew, unless told otherwise
    assert start_files(config) == {}
    compact = load_config('tiny_compact')
    found = start_files(compact, 'x')
    assert found == {'asset': 'star_tiny_compact.safetensors'}


@pytest.mark.parametrize(
    ('absent', 'line'),
    [
        (('optim_wrapper',), 'lacks optim_wrapper'),
        (('train_cfg', 'optim_wrapper'), 'lacks optim_wrapper, train_cfg'),
    ],
)
def test_half_a_training(config, absent, line):
    for part in absent:
        config.pop(part)
    with pytest.raises(ValueError, match=line):
        check_training(config)


def test_unknown_runner(config):
    config.runner_type = 'Jogger'
    with pytest.raises(ValueError, match=r"`runner_type` .* 'Jogger'"):
        check_training(config)


@pytest.mark.parametrize(
    ('changes', 'line'),
    [
        ({'model.backbone.dmi': 3}, 'dmi'),
        ({'model.type': 'STRModel'}, 'STRModel is not in'),
        ({'train_cfg.type': 'Loop'}, 'Loop is not in'),
        ({'model.frozen.decoder': []}, '`frozen` must name'),
        ({'custom_hooks': [{'type': 'Nothing'}]}, 'Nothing is not in'),
    ],
)
def test_wrong_settings(changes, line, tmp_path):
    options = RunOptions(
        work_dir=str(tmp_path),
        changes=changes,
    )
    with pytest.raises((KeyError, TypeError, ValueError)) as caught:
        build_runner(run_config('tiny', options)).train()
    reason = config_error(caught.value)
    assert line in reason
    assert len(reason.splitlines()) == 1


@pytest.mark.parametrize(
    ('error', 'line'),
    [
        (ValueError('`a` is wrong'), '`a` is wrong'),
        (ValueError('class `A` in b/c.py: `a` is wrong'), '`a` is wrong'),
        (KeyError('A is not in the hook registry'), 'A is not in the hook'),
        (TypeError('class `A` in b.py: no b'), 'class `A` in b.py: no b'),
        (
            TypeError("A.__init__() got an unexpected keyword argument 'x'"),
            'A',
        ),
        (TypeError('unsupported operand'), None),
        (KeyError('a'), None),
        (RuntimeError('CUDA error'), None),
    ],
)
def test_errors_of_users(error, line):
    found = config_error(error)
    assert found is None if line is None else found.startswith(line)
