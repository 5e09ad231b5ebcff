# Not in the paper: the gate after the LayerNorm, as Eq. 4 intends.
_base_ = '../star/i2vgen.py'
model = dict(
    backbone=dict(liem=dict(type='LIEM', gate='after_norm')),
    controlnet=dict(liem=dict(type='LIEM', gate='after_norm')),
    losses=dict(frequency=None),
)
