# Table 4, inverse: c(t) and 1 - c(t) change places.
_base_ = '../star/i2vgen.py'
model = dict(losses=dict(frequency=dict(alpha=1, order='inverse')))
