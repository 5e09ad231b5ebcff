# Table 3, position i, spatial: gates before spatial attention only.
_base_ = '../star/i2vgen.py'
model = dict(
    backbone=dict(liem=dict(type='LIEM', temporal=False)),
    controlnet=dict(liem=dict(type='LIEM', temporal=False)),
    losses=dict(frequency=None),
)
