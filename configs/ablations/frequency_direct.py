# Table 4, direct; also table 5, alpha 1.
_base_ = '../star/i2vgen.py'
model = dict(losses=dict(frequency=dict(alpha=1)))
