_base_ = 'tiny_seedvr2_3b.py'
model = dict(backbone=dict(variant='7b'))
