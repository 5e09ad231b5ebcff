# Table 7, beta 2.
_base_ = '../star/i2vgen.py'
model = dict(losses=dict(frequency=dict(beta=2)))
