# At a small size: no frequency loss.
_base_ = '../star/tiny.py'
model = dict(losses=dict(frequency=None))
