# The second stage of i2vgen_onestep.py, on decoded pixels; it starts from the
# first: --weights work_dirs/i2vgen_onestep.
_base_ = 'i2vgen_onestep.py'
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
        window=dict(num_frames=3, crop_size=(512, 512)),
    ),
)
start_weights = dict(
    star=dict(
        _delete_=True,
        file='star_i2vgen_onestep_latent.safetensors',
        made_by=(
            'star convert publish work_dirs/i2vgen_onestep '
            'star_i2vgen_onestep_latent.safetensors'
        ),
        source='a training of i2vgen_onestep',
    ),
)
optim_wrapper = dict(optimizer=dict(lr=5e-6))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=50),
    dict(type='ConstantLR', factor=1.0, by_epoch=False, begin=50, end=500),
]
train_cfg = dict(max_iters=500)
