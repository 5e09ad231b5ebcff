# The last stage of tiny.py: its decoder learns from its restored latents.
_base_ = 'tiny.py'
model = dict(
    _delete_=True,
    type='SamplerTrainer',
    star={{_base_.model}},
    steps=(2,),
    sampler='dpmpp_2m_sde',
    trained=('decoder',),
    clean=0.2,
    data_preprocessor=dict(type='VideoDataPreprocessor', scale=4),
)
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=5e-4, betas=(0.9, 0.99), weight_decay=0),
    clip_grad=dict(max_norm=0.5),
)
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        T_max=500,
        eta_min=1e-6,
    ),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=500)
