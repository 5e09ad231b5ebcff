# Table 5, b linear, alpha 0.5.
_base_ = '../star/i2vgen.py'
model = dict(losses=dict(frequency=dict(alpha=0.5)))
