# tiny.py on real degradations, with all losses: an experiment; README.md has
# what came of it.
_base_ = [
    '../../../configs/_base_/default_runtime.py',
    './_base_/datasets/tiny_degraded.py',
    '../../../configs/_base_/datasets/test_sets.py',
    '../../../configs/_base_/models/star_tiny.py',
    '../../../configs/_base_/schedules/tiny.py',
]
model = dict(
    # measured on 240 crops of the degraded training clips
    residual_std=[
        0.668,
        0.575,
        1.073,
        1.065,
        0.436,
        1.036,
        1.044,
        0.989,
        0.829,
        0.896,
        0.888,
        0.867,
        0.691,
        0.763,
        0.743,
        0.738,
        0.766,
        0.580,
        0.583,
        0.588,
        0.651,
        0.665,
        0.648,
        0.655,
        0.647,
        0.489,
        0.586,
        0.577,
        0.589,
        0.533,
        0.556,
        0.443,
    ],
    losses=dict(
        frequency=dict(type='DynamicFrequencyLoss', alpha=2, beta=1),
        perceptual=dict(
            type='PerceptualLoss',
            weights='data/lpips_squeeze.safetensors',
            lpips=0.3,
            l1=1.0,
        ),
        window=dict(num_frames=2),
    ),
    restore_options=dict(sampler='ddim', color_fix='none'),
)
# small enough to be saved whole, frozen autoencoder and all
default_hooks = dict(checkpoint=dict(save_all=True))
