# Own clips: data/train/gt holds videos, data/train/text a caption NAME.txt for
# each.
train_dataloader = dict(
    batch_size=2,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DrawSampler'),
    dataset=dict(
        type='CaptionedFolder',
        data_root='data/train',
        num_frames=3,
        pipeline=[
            dict(type='RandomFlipClip'),
            dict(type='RandomCropClip', height=88, width=96, shrink=0.5),
            dict(type='RealESRGANVideoDegradation', preset='star', scale=4),
            dict(type='PackVideoInputs'),
        ],
    ),
)
