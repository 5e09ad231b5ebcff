# Table 3, none: no local gates.
_base_ = '../star/i2vgen.py'
model = dict(
    backbone=dict(liem=None),
    controlnet=dict(liem=None),
    losses=dict(frequency=None),
)
