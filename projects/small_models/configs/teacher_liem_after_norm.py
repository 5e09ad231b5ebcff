# Ablation of tiny_teacher.py: gates after the LayerNorm, as Eq. 4 intends.
_base_ = 'tiny_teacher.py'
_gate = dict(type='LIEM', gate='after_norm')
model = dict(
    backbone=dict(unet=dict(liem=_gate)),
    controlnet=dict(controlnet=dict(liem=_gate)),
)
