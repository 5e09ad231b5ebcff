# What degrade_clips.py draws the pairs of tiny_f4_sampler.py from: windows
# longer and larger than its crops, so that codecs find something to do.
_base_ = 'tiny_real.py'
train_dataloader = dict(
    dataset=dict(
        num_frames=10,
        pipeline=[
            dict(type='RandomFlipClip'),
            dict(type='RandomCropClip', height=192, width=192, shrink=0.5),
            dict(
                type='ChooseTransform',
                probabilities=[0.7, 0.15, 0.15],
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
