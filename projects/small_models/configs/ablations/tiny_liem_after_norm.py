# On the small model: gates after the LayerNorm, as Eq. 4 intends.
_base_ = 'tiny_base.py'
model = dict(
    backbone=dict(liem=dict(type='LIEM', gate='after_norm')),
    controlnet=dict(liem=dict(type='LIEM', gate='after_norm')),
)
