_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/test_sets.py',
]
model = dict(
    type='RealESRGAN',
    num_blocks=6,
    weights='RealESRGAN_x4plus_anime_6B.pth',
)
