# Table 5, b linear, alpha 1.5.
_base_ = '../star/i2vgen.py'
model = dict(losses=dict(frequency=dict(alpha=1.5)))
