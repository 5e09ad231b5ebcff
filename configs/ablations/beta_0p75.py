# Table 7, beta 0.75.
_base_ = '../star/i2vgen.py'
model = dict(losses=dict(frequency=dict(beta=0.75)))
