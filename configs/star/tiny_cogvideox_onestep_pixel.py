# The second stage of tiny_cogvideox_onestep.py, on decoded pixels.
_base_ = 'tiny_cogvideox_onestep.py'
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
        window=dict(num_frames=4, crop_size=(16, 16)),
    ),
)
optim_wrapper = dict(optimizer=dict(lr=1e-4))
