# The autoencoder of tiny.py: principal components of 8x8 patches, then a
# decoder that learns to see past the disturbed latents' block borders.
_base_ = [
    '../../../configs/_base_/default_runtime.py',
    './_base_/datasets/tiny_clips.py',
    './_base_/models/tiny_vae.py',
]
model = dict(
    type='AutoencoderTrainer',
    autoencoder={{_base_.autoencoder}},
    data_preprocessor=dict(type='VideoDataPreprocessor', scale=1),
)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.99), weight_decay=0),
    clip_grad=dict(max_norm=0.5),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=50),
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        begin=50,
        T_max=1950,
        eta_min=1e-6,
    ),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=2000)
# the frozen encoder comes from the data: nothing else has it
default_hooks = dict(checkpoint=dict(save_all=True))
custom_hooks = [dict(type='InitFromDataHook', num_items=320)]
