# The second training of tiny_compact.py, from the result of the first: pairs
# with areas out of focus, longer windows, less flicker. README.md has the
# results, and what a higher rate did.
_base_ = 'tiny_compact_sampler.py'
_pairs = dict(
    type='PairArrays',
    data_root='data/star_tiny_pairs',
    num_frames=7,
    pipeline=[
        dict(type='RandomFlipClip'),
        dict(type='RandomCropClip', height=128, width=128),
        dict(type='ShuffleChannels', probability=0.4),
        dict(type='PackVideoInputs'),
    ],
)
train_dataloader = dict(
    batch_size=3,
    dataset=dict(
        datasets=[
            _pairs,
            dict(_pairs, data_root='data/star_tiny_film_pairs'),
        ],
    ),
)
model = dict(
    steps=(1,),
    loss=dict(lpips_frames=3, temporal=0.5),
)
optim_wrapper = dict(optimizer=dict(lr=3e-5))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=100),
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        begin=100,
        T_max=2600,
        eta_min=5e-7,
    ),
]
train_cfg = dict(max_iters=2700)
