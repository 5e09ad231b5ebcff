# `degrade_clips.py` draws the first half of the training pairs from this:
# windows longer and larger than the training's crops, so that the codecs of
# the degradation have something to do.
model = dict(type='STARModel')  # a config needs one; nothing builds it
custom_imports = dict(imports=['projects.small_models'])
train_dataloader = dict(
    dataset=dict(
        type='ClipArrays',
        data_root='data/star_tiny',
        num_frames=10,
        pipeline=[
            dict(type='RandomFlipClip'),
            dict(type='RandomCropClip', height=192, width=192, shrink=0.5),
            dict(type='DefocusClip', probability=0.3),
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
