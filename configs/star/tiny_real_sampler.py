# The last stage of tiny_real.py: networks and decoder learn from what they
# restore themselves in one or two steps.
_base_ = 'tiny_real.py'
train_dataloader = dict(batch_size=6, dataset=dict(num_frames=3))
model = dict(
    _delete_=True,
    type='SamplerTrainer',
    star={{_base_.model}},
    steps=(1, 2),
    strength=0.1,
    perceptual_loss=dict(
        type='PerceptualLoss',
        weights='data/lpips_squeeze.safetensors',
        lpips=1.0,
        l1=1.0,
        temporal=0.5,
        t_power=0.0,
    ),
    data_preprocessor=dict(type='VideoDataPreprocessor', scale=4),
)
optim_wrapper = dict(optimizer=dict(lr=8e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=20),
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        begin=20,
        T_max=1280,
        eta_min=1e-6,
    ),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=1300)
default_hooks = dict(
    checkpoint=dict(interval=100),
    ema=dict(type='TrainedEMAHook', decay=0.98),
)
