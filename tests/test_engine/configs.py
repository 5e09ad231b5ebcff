"""The configs of the small model, shrunk to run for two iterations."""

import math

import numpy as np
from mmengine.config import Config
from mmengine.runner import Runner

from star.utils.paths import config_path

VAE = {
    'block_out_channels': (32,),
    'latent_channels': 4,
    'encode_batch': 4,
    'decode_chunk': 2,
}
NETWORK = {
    'in_dim': 4,
    'dim': 32,
    'dim_mult': (1,),
    'num_res_blocks': 1,
    'head_dim': 8,
    'num_heads': 2,
}


def write_clips(folder):
    rng = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    clip = rng.integers(0, 256, (6, 40, 48, 3), dtype=np.uint8)
    np.save(folder / 'clip.npy', clip)


def shrunk_config(name, folder, max_iters=2, **options):
    """A config of `configs/star` on clips in `folder`, tiny in every way.

    The experiment's name must differ from run to run of one process.
    """
    write_clips(folder / 'clips')
    config = Config.fromfile(config_path(f'star/{name}.py'))
    config.merge_from_dict({'model.autoencoder': VAE})
    if config.model.type == 'STARModel':
        config.model.losses = {}  # LPIPS needs larger crops, and a file
        config.model.backbone.update(NETWORK, out_dim=4)
        config.model.controlnet.update(NETWORK)
        if 'residual_std' in config.model:
            config.model.residual_std = config.model.residual_std[:4]
    loader = config.train_dataloader
    loader.update(batch_size=2, num_workers=0, persistent_workers=False)
    loader.dataset.update(data_root=str(folder / 'clips'), num_frames=2)
    for transform in loader.dataset.pipeline:
        if transform.type == 'RandomCropClip':
            transform.update(height=16, width=24)
    config.train_cfg.max_iters = max_iters
    config.param_scheduler = config.param_scheduler[:1]
    config.default_hooks.checkpoint.interval = 1
    config.log_level = 'ERROR'
    config.work_dir = str(folder / 'work')
    config.randomness = {'seed': 0}
    config.merge_from_dict(options)
    config.experiment_name = f'{folder.name}_{name}_{max_iters}_{len(options)}'
    return config


def train(config):
    """Run a config; return the Runner, whose losses were all finite."""
    runner = Runner.from_cfg(config)
    runner.train()
    history, _ = runner.message_hub.get_scalar('train/loss').data
    assert len(history) and all(math.isfinite(loss) for loss in history)
    return runner
