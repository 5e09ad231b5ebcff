default_scope = 'star'
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    monitor=dict(type='MonitorHook'),
    guard=dict(type='NonFiniteGuardHook'),
    latent_cache=dict(type='CheckLatentCacheHook'),
    logger=dict(type='LoggerHook', interval=20),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='SafeCheckpointHook', interval=500),
    sampler_seed=dict(type='DistSamplerSeedHook'),
)
env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
# ranks begin with the same weights; dropout then differs from rank to rank
randomness = dict(seed=0, diff_rank_seed=True)
# gradients live in the buffers that ranks exchange, not beside them
model_wrapper_cfg = dict(
    type='MMDistributedDataParallel',
    broadcast_buffers=False,
    gradient_as_bucket_view=True,
)
visualizer = dict(
    type='Visualizer',
    vis_backends=[
        dict(type='LocalVisBackend'),
        dict(type='TensorBoardBackend'),
    ],
)
log_processor = dict(
    by_epoch=False,
    window_size=20,
    mean_pattern=r'.*(loss|time|grad_norm|frequency|perceptual|psnr).*',
)
log_level = 'INFO'
load_from = None
resume = False
