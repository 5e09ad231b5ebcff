# Not in the paper: the released code's formula, with its gradient.
_base_ = '../star/i2vgen.py'
model = dict(losses=dict(frequency=dict(filter='official')))
