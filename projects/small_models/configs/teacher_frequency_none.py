# Ablation of tiny_teacher.py: no frequency loss.
_base_ = 'tiny_teacher.py'
model = dict(losses=dict(frequency=None))
