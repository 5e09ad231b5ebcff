# At a small size: gates after the LayerNorm, as Eq. 4 intends.
_base_ = '../star/tiny.py'
model = dict(
    backbone=dict(liem=dict(type='LIEM', gate='after_norm')),
    controlnet=dict(liem=dict(type='LIEM', gate='after_norm')),
)
