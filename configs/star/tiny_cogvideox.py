# CogVideoX's networks at a size for tests. They start from random numbers and
# restore nothing.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/captioned_folder.py',
    '../_base_/datasets/test_sets.py',
    '../_base_/models/tiny_cogvideox.py',
    '../_base_/schedules/tiny.py',
]
weights = dict(random=True)
# frozen random numbers, which a training must name: it shows only that it runs
model = dict(autoencoder=dict(init='random'), backbone=dict(init='random'))
train_dataloader = dict(
    dataset=dict(
        num_frames=9,
        pipeline=[
            dict(type='RandomFlipClip', transpose=False),
            dict(type='RandomCropClip', height=32, width=48, shrink=0.5),
            dict(type='RealESRGANVideoDegradation', preset='star', scale=4),
            dict(type='PackVideoInputs'),
        ],
    ),
)
