_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/test_sets.py',
]
model = dict(type='RealESRGAN', scale=2, weights='RealESRGAN_x2plus.pth')
