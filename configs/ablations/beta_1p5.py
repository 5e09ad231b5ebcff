# Table 7, beta 1.5.
_base_ = '../star/i2vgen.py'
model = dict(losses=dict(frequency=dict(beta=1.5)))
