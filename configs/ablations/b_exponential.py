# Table 5, b exponential (alpha 2; the paper does not say).
_base_ = '../star/i2vgen.py'
model = dict(losses=dict(frequency=dict(b='exponential')))
