# Table 3, position ii: gates on the trunk, before the branch.
_base_ = '../star/i2vgen.py'
model = dict(
    backbone=dict(liem=dict(type='LIEM', position='ii')),
    controlnet=dict(liem=dict(type='LIEM', position='ii')),
    losses=dict(frequency=None),
)
