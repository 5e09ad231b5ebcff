"""Configs of small models, shrunk to run for two iterations."""

import math

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.runner import Runner

from star.utils.paths import config_path

# fields of a UNet on the latents of `configs/star/tiny.py`
NETWORK = {
    'sizes': {
        'dim': 32,
        'dim_mult': (1,),
        'num_res_blocks': 1,
        'head_dim': 8,
        'num_heads': 2,
        'context_dim': 32,
        'norm_groups': 8,
    }
}


def write_clips(folder):
    """Write a clip of 6 frames of 48x40 and its caption."""
    rng = np.random.default_rng(0)
    (folder / 'gt' / 'clip').mkdir(parents=True)
    (folder / 'text').mkdir()
    (folder / 'text' / 'clip.txt').write_text('a clip')
    for index in range(6):
        image = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
        assert cv2.imwrite(str(folder / f'gt/clip/{index}.png'), image)


def shrunk_config(name, folder, max_iters=2, **options):
    """A config of `configs/star` on clips in `folder`, tiny in every way.

    The experiment's name must differ from run to run of one process.
    """
    write_clips(folder / 'clips')
    config = Config.fromfile(config_path(f'star/{name}.py'))
    config.model.losses = {}
    config.model.backbone.update(NETWORK)
    config.model.controlnet.update(NETWORK)
    loader = config.train_dataloader
    loader.update(batch_size=2, num_workers=0, persistent_workers=False)
    loader.dataset.update(data_root=str(folder / 'clips'), num_frames=2)
    for transform in loader.dataset.pipeline:
        if transform.type == 'RandomCropClip':
            transform.update(height=16, width=24)
    config.train_cfg.max_iters = max_iters
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
