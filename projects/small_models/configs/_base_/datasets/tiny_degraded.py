# The clips of tiny_clips.py, degraded: mostly as the benchmark's are, some
# lightly, some only shrunk, so that good videos stay good.
_base_ = 'tiny_clips.py'
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='RandomFlipClip'),
            dict(type='RandomCropClip', height=144, width=160, shrink=0.5),
            dict(
                type='ChooseTransform',
                probabilities=[0.6, 0.2, 0.2],
                transforms=[
                    dict(type='RealESRGANVideoDegradation', preset='star'),
                    dict(type='RealESRGANVideoDegradation', preset='light'),
                    dict(type='PlainDegradation', scale=4),
                ],
            ),
            dict(type='PackVideoInputs'),
        ],
    ),
)
