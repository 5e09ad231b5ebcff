# The second stage of tiny_onestep.py, on decoded pixels.
_base_ = 'tiny_onestep.py'
model = dict(
    losses=dict(
        _delete_=True,
        type='Distillation',
        latent=dict(type='LatentLoss'),
        pixels=[
            # without LPIPS, whose network would have to be downloaded
            dict(type='PerceptualLoss', lpips=0.0, t_power=0.0),
            dict(type='DynamicFrequencyLoss', b='constant'),
            dict(type='FrameDifferenceLoss'),
        ],
    ),
)
start_weights = dict(
    star=dict(
        file='star_tiny_onestep_latent.safetensors',
        made_by=(
            'star convert publish work_dirs/tiny_onestep '
            'star_tiny_onestep_latent.safetensors'
        ),
        source='a training of tiny_onestep',
    ),
)
optim_wrapper = dict(optimizer=dict(lr=1e-4))
