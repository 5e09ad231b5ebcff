_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/test_sets.py',
]
model = dict(
    type='RealESRGANCompact', num_conv=16, weights='realesr-animevideov3.pth'
)
