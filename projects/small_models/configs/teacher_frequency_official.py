# Ablation of tiny_teacher.py: the released code's frequency loss, with its
# gradient.
_base_ = 'tiny_teacher.py'
model = dict(losses=dict(frequency=dict(filter='official')))
