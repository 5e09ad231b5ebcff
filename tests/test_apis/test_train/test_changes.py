"""Keys and values that replace those of a config."""

import pytest

from star.apis.inference.build import load_config
from star.apis.train.changes import apply_changes
from star.apis.train.option_text import read_changes


@pytest.fixture(scope='module')
def text():
    return load_config('tiny').pretty_text


@pytest.fixture
def config():
    return load_config('tiny')


@pytest.mark.parametrize(
    'pair',
    [
        'train_cfg.max_iters=7',
        'optim_wrapper.optimizer.lr=1',
        'optim_wrapper.optimizer.betas=(0.9,0.95)',
        'optim_wrapper.optimizer.amsgrad=true',
        'optim_wrapper.accumulative_counts=2',
        'optim_wrapper.clip_grad=None',
        'optim_wrapper.paramwise_cfg.bias_decay_mult=0',
        'optim_wrapper.constructor=DefaultOptimWrapperConstructor',
        'param_scheduler=[]',
        'train_dataloader.drop_last=true',
        'train_dataloader.dataset.data_root=folder',
        'train_dataloader.dataset.pipeline.1.height=104',
        'train_dataloader.dataset.interval=2',
        'test_dataloader.dataset.datasets.0.data_root=folder',
        'default_hooks.ema=None',
        'default_hooks.checkpoint.max_keep=5',
        'default_hooks.logger.priority=LOW',
        'model.losses=None',
        'model.losses.frequency.alpha=1.5',
        'model.restore_options.guidance_scale=7.5',
        'model.autoencoder.init=random',
        "model.losses.window={'num_frames': 3}",
        'randomness.deterministic=true',
        'env_cfg.mp_cfg.opencv_num_threads=1',
        'log_level=WARNING',
        'work_dir=somewhere',
        'weights.random=False',
        "weights.vae={'file': 'vae.safetensors'}",
        'auto_scale_lr.base_batch_size=8',
        'load_from=None',
        'compile=true',
        'compile=dict(backend="eager")',
        'find_unused_parameters=true',
        "activation_checkpointing=['backbone']",
    ],
)
def test_good_changes(config, pair):
    ((key, value),) = read_changes([pair]).items()
    apply_changes(config, {key: value})
    node = config
    for part in key.split('.'):
        node = node[int(part) if part.isdigit() else part]
    assert node == value


def test_a_new_hook_of_two_changes(config):
    pairs = ['type=TrainedEMAHook', 'decay=0.9']
    apply_changes(
        config, read_changes([f'default_hooks.ema.{p}' for p in pairs])
    )
    assert config.default_hooks.ema == {'type': 'TrainedEMAHook', 'decay': 0.9}


@pytest.mark.parametrize(
    ('pair', 'hint'),
    [
        ('lr=fast', "did you mean 'optim_wrapper.optimizer.lr'"),
        ('modle.type=A', "did you mean 'model'"),
        ('model.backbone.size.dim=3', "did you mean 'sizes'"),
        ('train_cfg.max_iter=3', "did you mean 'max_iters'"),
        ('train_cfg.max_iters.more=3', ''),
        ('train_dataloader.bach_size=3', "did you mean 'batch_size'"),
        ('train_dataloader.dataset.pipeline.9.height=8', ''),
        ('train_dataloader.dataset.pipeline.1.heightx=8', "'height'"),
        ('train_dataloader.dataset.data_rot=a', "'data_root'"),
        ('param_scheduler.0.end=3', ''),
        ('optim_wrapper.optimizer.momentum=1', ''),
        ('optim_wrapper.clip_grad.max_nrm=1', "did you mean 'max_norm'"),
        ('default_hooks.emaa.decay=0.9', ''),
        ('default_hooks.extra=3', ''),
        ('default_hooks.checkpoint.intervalx=3', "did you mean 'interval'"),
        ('randomness.sed=3', "did you mean 'seed'"),
        ('env_cfg.cudnn=true', ''),
        ('log_processor.windw_size=3', "did you mean 'window_size'"),
        ('weights.stra.file=a', ''),
        ('weights.star.fil=a', "did you mean 'file'"),
        ('model.losses.frequency.alfa=1', "did you mean 'alpha'"),
        ("model.losses.frequency={'alfa': 1}", "did you mean 'alpha'"),
    ],
)
def test_keys_that_nothing_reads(config, pair, hint):
    ((key, value),) = read_changes([pair]).items()
    with pytest.raises(ValueError, match='config has no setting') as caught:
        apply_changes(config, {key: value})
    line = str(caught.value)
    assert key in line and hint in line and len(line.splitlines()) == 1


@pytest.mark.parametrize(
    ('pair', 'rule'),
    [
        ('train_cfg.max_iters=abc', 'a whole number of at least 1'),
        ('train_cfg.max_iters=2.5', 'a whole number of at least 1'),
        ('train_cfg.max_iters=0', 'a whole number of at least 1'),
        ('train_cfg.max_iters=None', 'a whole number of at least 1'),
        ('optim_wrapper.optimizer.lr=fast', 'a number of at least 0'),
        ('optim_wrapper.optimizer.lr=-1', 'a number of at least 0'),
        ('optim_wrapper.optimizer.lr=nan', 'a number of at least 0'),
        ('optim_wrapper.optimizer.betas=[0.9]', 'a list'),
        ('optim_wrapper.optimizer.amsgrad=3', 'true or false'),
        ('optim_wrapper.optimizer=None', 'an object'),
        ('train_dataloader.batch_size=0', 'a whole number of at least 1'),
        ('train_dataloader.batch_size=2.5', 'a whole number of at least 1'),
        ('train_dataloader.num_workers=-1', 'a whole number of at least 0'),
        ('train_dataloader.dataset.num_frames=two', 'a whole number'),
        ('train_dataloader.dataset.pipeline=3', 'a list'),
        ('train_dataloader.dataset.pipeline.1.height=8.5', 'a whole number'),
        ('train_dataloader.dataset.data_root=2024', 'text'),
        ('default_hooks.checkpoint.interval=often', 'a whole number'),
        ('model=3', 'a dictionary'),
        ('model=abc', 'a dictionary'),
        ('model.backbone=UNet', 'a dictionary'),
        ('model.backbone=None', 'a dictionary'),
        ('model.backbone.sizes.dim=wide', 'a number'),
        ('model.losses.frequency.alpha=[1]', 'a number'),
        ('model.restore_options.steps=many', 'a number'),
        ('model.residual_std=[a,b]', 'a list of a number'),
        ('train_cfg=[]', 'a dictionary'),
        ('work_dir=3', 'text'),
        ('resume=maybe', 'true or false'),
    ],
)
def test_values_of_a_wrong_kind(config, pair, rule):
    ((key, value),) = read_changes([pair]).items()
    with pytest.raises(ValueError, match='config setting') as caught:
        apply_changes(config, {key: value})
    line = str(caught.value)
    assert f'{key} must be {rule}' in line and f'got {value!r}' in line
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize(
    ('pair', 'reason'),
    [
        ('model.backbone.sizes.dmi=3', "'dmi'"),
        ('model.backbone.sizes.dim=33', 'must be'),
        ('model.restore_options.stpes=3', "'stpes'"),
        ('model.losses.frequencyx.alpha=1', 'unknown keys: frequencyx'),
        ('model.frozen.decoder=[]', "got 'decoder'"),
        ('train_dataloader.dataset.pipeline.0=flip', 'flip'),
    ],
)
def test_what_only_a_constructor_can_refuse(config, pair, reason):
    with pytest.raises(ValueError, match='config cannot take') as caught:
        apply_changes(config, read_changes([pair]))
    line = str(caught.value)
    assert pair in line and reason in line and len(line.splitlines()) == 1
