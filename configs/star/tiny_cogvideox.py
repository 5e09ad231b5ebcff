# CogVideoX's networks at a size for tests: random weights, nothing is
# restored.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/tiny_clips.py',
    '../_base_/models/tiny_cogvideox.py',
    '../_base_/schedules/tiny.py',
]
weights = dict(random=True)
train_dataloader = dict(
    batch_size=2,
    dataset=dict(
        num_frames=9,
        pipeline=[
            dict(type='RandomFlipClip', transpose=False),
            dict(type='RandomCropClip', height=32, width=48, shrink=0.5),
            dict(type='PlainDegradation', scale=4, plain=0.5),
            dict(type='PackVideoInputs'),
        ],
    ),
)
