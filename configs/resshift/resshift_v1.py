_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/test_sets.py',
]
model = dict(type='ResShift', weights='resshift_realsrx4_s15_v1.pth')
