# Windows of tiny_f4_windows.py (configs/star), degraded by degrade_clips.py.
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DrawSampler'),
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(
        type='PairArrays',
        data_root='data/star_tiny_pairs',
        num_frames=4,
        pipeline=[
            dict(type='RandomFlipClip'),
            dict(type='RandomCropClip', height=128, width=128),
            dict(type='SoftenPair', probability=0.18),
            dict(type='ShuffleChannels', probability=0.4),
            dict(type='PackVideoInputs'),
        ],
    ),
)
