# STAR with a denoiser, a data set and a metric from outside the package.
_base_ = 'star::_base_/default_runtime.py'
custom_imports = dict(
    imports=[
        'star.models',
        'star.datasets',
        'star.engine',
        'star.evaluation',
        'projects.example_project.conv3d_denoiser',
        'projects.example_project.gradient_error',
        'projects.example_project.moving_squares',
        'projects.example_project.unsharp_mask',
    ],
    allow_failed_imports=False,
)
model = dict(
    type='STARModel',
    data_preprocessor=dict(type='VideoDataPreprocessor', scale=4),
    autoencoder=dict(type='PatchDCT', patch_size=4),
    text_encoder=dict(type='ConstantTextEncoder', dim=8),
    backbone=dict(type='Conv3dDenoiser', latent_dim=48, dim=32),
    controlnet=dict(type='Conv3dControl', latent_dim=48, dim=32),
    schedule=dict(type='I2VGenSchedule'),
    restore_options=dict(
        mode='normal', steps=2, guidance_scale=1, window=8, overlap=2
    ),
)
squares = dict(
    type='MovingSquares',
    num_clips=4,
    num_frames=5,
    height=64,
    width=96,
    pipeline=[
        dict(type='RealESRGANVideoDegradation', preset='light', scale=4),
        dict(type='PackVideoInputs'),
    ],
)
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type='DrawSampler'),
    collate_fn=dict(type='pseudo_collate'),
    dataset=squares,
)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=20)
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3)
)
test_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(squares, name='squares', seed=1),
)
test_cfg = dict(type='TestLoop')
test_evaluator = [dict(type='PSNR'), dict(type='GradientError')]
default_hooks = dict(checkpoint=dict(save_all=True))
