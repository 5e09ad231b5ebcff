# The small model with an autoencoder of 4x4 patches; see README.md.
_base_ = [
    '../../../configs/_base_/default_runtime.py',
    './_base_/datasets/tiny_degraded.py',
    '../../../configs/_base_/datasets/test_sets.py',
    './_base_/models/tiny_f4.py',
    '../../../configs/_base_/schedules/tiny.py',
]
weights = dict(asset='star_tiny_f4.safetensors')
# small enough to be saved whole, frozen autoencoder and all
default_hooks = dict(checkpoint=dict(save_all=True))
