# Ablation of tiny_teacher.py: no local gates.
_base_ = 'tiny_teacher.py'
model = dict(
    backbone=dict(unet=dict(liem=None)),
    controlnet=dict(controlnet=dict(liem=None)),
)
