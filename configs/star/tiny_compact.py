# The small model that ships with the package, to restore with; it is trained
# by tiny_compact_sampler.py. See README.md.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/test_sets.py',
    '../_base_/models/tiny_compact.py',
]
weights = dict(asset='star_tiny_compact.safetensors')
