# Clips of the small model: random crops of arrays in data/star_tiny.
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DrawSampler'),
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(
        type='ClipArrays',
        data_root='data/star_tiny',
        num_frames=4,
        pipeline=[
            dict(type='RandomFlipClip'),
            dict(type='RandomCropClip', height=144, width=160, shrink=0.5),
            dict(type='PackVideoInputs'),
        ],
    ),
)
