# Table 3, position i, temporal: before temporal attention only.
_base_ = '../star/i2vgen.py'
model = dict(
    backbone=dict(liem=dict(type='LIEM', spatial=False)),
    controlnet=dict(liem=dict(type='LIEM', spatial=False)),
    losses=dict(frequency=None),
)
