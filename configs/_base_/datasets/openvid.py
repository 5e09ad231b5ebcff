# OpenVid-1M as the paper trains on it; how to get it stands in data/README.md.
train_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    prefetch_factor=2,
    sampler=dict(type='DrawSampler'),
    dataset=dict(
        type='OpenVid',
        annotation='data/openvid/verified.csv',
        data_root='data/openvid/video',
        num_frames=32,
        interval=2,
        filters=dict(min_width=1280, min_height=720),
        drop_caption=0.5,
        pipeline=[
            dict(type='RandomFlipClip', transpose=False, reverse=False),
            dict(type='RandomCropClip', height=720, width=1280),
            dict(type='RealESRGANVideoDegradation', preset='star', scale=4),
            dict(type='PackVideoInputs'),
        ],
    ),
)
