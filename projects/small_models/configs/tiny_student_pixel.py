# The second stage of tiny_student.py: the ground truth, in latents and pixels.
_base_ = 'tiny_student.py'
model = dict(
    losses=dict(
        latent=dict(type='LatentLoss', gt=1.0, weight=150.0),
        pixels=[
            dict(
                type='PerceptualLoss',
                weights='data/lpips_squeeze.safetensors',
                lpips=0.1,
                l1=0.0,
                t_power=0.0,
            ),
            dict(
                type='DynamicFrequencyLoss', alpha=2, b='constant', weight=1.0
            ),
            dict(type='FrameDifferenceLoss', weight=1.0),
        ],
        window=dict(num_frames=2, checkpointing=False),
    ),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=20),
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        begin=20,
        T_max=220,
        eta_min=5e-6,
    ),
]
train_cfg = dict(max_iters=240)
default_hooks = dict(checkpoint=dict(interval=80))
