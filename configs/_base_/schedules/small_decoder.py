# For a small decoder that starts from random numbers.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=3e-4, betas=(0.9, 0.99), weight_decay=0),
    clip_grad=dict(max_norm=1.0),
)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=100000)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=500),
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        begin=500,
        end=100000,
        T_max=99500,
        eta_min=1e-6,
    ),
]
