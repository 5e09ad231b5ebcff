"""Hooks and other parts for mmengine's Runner."""

from star.engine.checkpoint_hook import SafeCheckpointHook
from star.engine.checkpointing import set_resume
from star.engine.draw_sampler import DrawSampler
from star.engine.ema import TrainedEMAHook
from star.engine.guards import NonFiniteGuardHook
from star.engine.latent_cache_hook import CheckLatentCacheHook
from star.engine.monitor_hooks import MonitorHook
from star.engine.optim_wrapper import BFloat16OptimWrapper
from star.engine.sharding import wrap_by_class
from star.engine.validation_hook import ValidationClipsHook
from star.engine.vis_backends import TensorBoardBackend
from star.utils.checkpoint_folder import resume_path

__all__ = [
    'BFloat16OptimWrapper',
    'CheckLatentCacheHook',
    'DrawSampler',
    'MonitorHook',
    'NonFiniteGuardHook',
    'SafeCheckpointHook',
    'TensorBoardBackend',
    'TrainedEMAHook',
    'ValidationClipsHook',
    'resume_path',
    'set_resume',
    'wrap_by_class',
]
