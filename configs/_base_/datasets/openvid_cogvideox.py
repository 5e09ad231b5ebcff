# OpenVid-1M in clips of CogVideoX's size.
_base_ = 'openvid.py'
train_dataloader = dict(
    dataset=dict(
        num_frames=25,
        pipeline=[
            dict(type='RandomFlipClip', transpose=False, reverse=False),
            dict(type='RandomCropClip', height=480, width=720),
            dict(type='RealESRGANVideoDegradation', preset='star', scale=4),
            dict(type='PackVideoInputs'),
        ],
    ),
)
