# The model that ships with the package, trained further on your own clips:
# docs/tutorial.md.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/captioned_folder.py',
    '../_base_/datasets/test_folder.py',
    '../_base_/models/tiny_compact.py',
    '../_base_/schedules/finetune.py',
]
weights = start_weights = dict(asset='star_tiny_compact.safetensors')
train_dataloader = dict(dataset=dict(data_root='data/mine'))
test_dataloader = dict(dataset=dict(data_root='data/test_sets/mine'))
default_hooks = dict(ema=dict(type='TrainedEMAHook', decay=0.95))
model = dict(
    losses=dict(
        t_range=(9, 9),  # its only step
        velocity=dict(type='VelocityLoss', weight=1e-3),
        frequency=dict(type='DynamicFrequencyLoss'),
    ),
)
