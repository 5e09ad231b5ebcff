# For the small model: AdamW, a short warm-up, then a cosine.
optim_wrapper = dict(
    type='BFloat16OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.99), weight_decay=0),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=100),
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        begin=100,
        T_max=1800,
        eta_min=1e-6,
    ),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=1900)
