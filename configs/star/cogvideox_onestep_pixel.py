# The second stage of cogvideox_onestep.py, on decoded pixels; it starts from
# the first: --weights work_dirs/cogvideox_onestep.
_base_ = 'cogvideox_onestep.py'
model = dict(
    losses=dict(
        _delete_=True,
        type='Distillation',
        latent=dict(type='LatentLoss'),
        pixels=[
            dict(type='PerceptualLoss', net='vgg', t_power=0.0),
            dict(type='DynamicFrequencyLoss', b='constant'),
            dict(type='FrameDifferenceLoss'),
        ],
        window=dict(num_frames=8, crop_size=(256, 256)),
    ),
)
start_weights = dict(
    star=dict(
        _delete_=True,
        file='star_cogvideox_onestep_latent.safetensors',
        made_by=(
            'star convert publish work_dirs/cogvideox_onestep '
            'star_cogvideox_onestep_latent.safetensors '
            '--base star_cogvideox_5b.safetensors'
        ),
        source='a training of cogvideox_onestep',
    ),
)
optim_wrapper = dict(optimizer=dict(lr=5e-6))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=50),
    dict(type='ConstantLR', factor=1.0, by_epoch=False, begin=50, end=500),
]
train_cfg = dict(max_iters=500)
