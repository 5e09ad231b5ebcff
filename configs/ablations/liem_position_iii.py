# Table 3, position iii: gates on the trunk, after the branch.
_base_ = '../star/i2vgen.py'
model = dict(
    backbone=dict(liem=dict(type='LIEM', position='iii')),
    controlnet=dict(liem=dict(type='LIEM', position='iii')),
    losses=dict(frequency=None),
)
