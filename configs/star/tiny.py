# The smallest model with all parts of STAR; see README.md.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/tiny_clips.py',
    '../_base_/datasets/test_sets.py',
    '../_base_/models/star_tiny.py',
    '../_base_/schedules/tiny.py',
]
weights = dict(asset='star_tiny.safetensors')
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='RandomFlipClip'),
            dict(type='RandomCropClip', height=144, width=160, shrink=0.5),
            dict(type='PlainDegradation', scale=4, plain=0.5),
            dict(type='PackVideoInputs'),
        ],
    ),
)
# small enough to be saved whole, frozen autoencoder and all
default_hooks = dict(checkpoint=dict(save_all=True))
