# The second half of the training pairs: films of pictures, made by
# `film_pictures.py` at the size of a window.
_base_ = 'windows.py'
train_dataloader = dict(
    dataset=dict(
        data_root='data/star_tiny_films',
        num_frames=8,
        pipeline=[
            dict(type='RandomFlipClip'),
            dict(type='RandomCropClip', height=192, width=192),
            dict(type='DefocusClip', probability=0.3),
            dict(
                type='ChooseTransform',
                probabilities=[0.65, 0.15, 0.2],
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
