# On the small model: gates before the LayerNorm, as in the released code.
_base_ = 'tiny_base.py'
