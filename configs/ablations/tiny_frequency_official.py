# At a small size: the released code's frequency loss, with its gradient.
_base_ = '../star/tiny.py'
model = dict(losses=dict(frequency=dict(filter='official')))
