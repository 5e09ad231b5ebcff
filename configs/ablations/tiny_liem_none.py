# At a small size: no local gates.
_base_ = '../star/tiny.py'
model = dict(backbone=dict(liem=None), controlnet=dict(liem=None))
