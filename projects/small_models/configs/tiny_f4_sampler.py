# tiny_f4.py on real degradations, trained on what it restores itself;
# README.md has the commands and what came of it.
_base_ = [
    '../../../configs/_base_/default_runtime.py',
    './_base_/datasets/tiny_pairs.py',
    './_base_/models/tiny_f4.py',
    '../../../configs/_base_/schedules/tiny.py',
]
model = dict(
    _delete_=True,
    type='SamplerTrainer',
    star={{_base_.model}},
    steps=(1, 2),
    strength=0.01,
    trained=('backbone', 'controlnet'),
    clean=0.0,
    loss=dict(
        type='RestorationLoss',
        weights='data/lpips_squeeze.safetensors',
        lpips=1.6,
        lpips_frames=2,
    ),
    data_preprocessor=dict(type='VideoDataPreprocessor', scale=4),
)
optim_wrapper = dict(
    # at this `strength` the networks' output counts 0.03 times; the last
    # layer makes up for it, and has to be as fast as the others
    paramwise_cfg=dict(
        custom_keys={'star.backbone.conv_out': dict(lr_mult=30.0)},
    ),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=30),
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        begin=30,
        T_max=6970,
        eta_min=2e-5,
    ),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=7000)
default_hooks = dict(
    # small enough to be saved whole, frozen autoencoder and all
    checkpoint=dict(save_all=True),
    ema=dict(type='TrainedEMAHook', decay=0.998),
)
