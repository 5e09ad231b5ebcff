# On the small model: no local gates.
_base_ = 'tiny_base.py'
model = dict(backbone=dict(liem=None), controlnet=dict(liem=None))
