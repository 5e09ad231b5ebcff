_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/test_sets.py',
]
model = dict(
    type='ResShift',
    steps=4,
    min_noise=0.2,
    weights='resshift_realsrx4_s4_v3.pth',
)
