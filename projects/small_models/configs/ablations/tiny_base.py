# What the rows tiny_*.py share: the small model for degraded clips, its
# denoiser trained from random numbers, briefly; README.md has what came of it.
_base_ = '../tiny_real.py'
model = dict(
    losses=dict(
        frequency=None,
        # at all t alike: what a short training changes most is the start
        perceptual=dict(lpips=1.0, l1=0.0, t_power=0.0),
    ),
)
train_dataloader = dict(
    num_workers=0,  # nothing is left to degrade
    persistent_workers=False,
    dataset=dict(
        _delete_=True,
        type='PairArrays',
        data_root='data/star_tiny_pairs',
        num_frames=3,
        pipeline=[
            dict(type='RandomFlipClip'),
            dict(type='RandomCropClip', height=80, width=96),
            dict(type='PackVideoInputs'),
        ],
    ),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=40),
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        begin=40,
        T_max=260,
        eta_min=1e-6,
    ),
]
train_cfg = dict(max_iters=300)
default_hooks = dict(checkpoint=dict(interval=100, max_keep=1))
