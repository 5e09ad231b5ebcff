# Weights: realesr-general-x4v3.pth of Real-ESRGAN's release v0.2.5.0.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/test_sets.py',
]
model = dict(type='RealESRGANCompact', num_conv=32)
