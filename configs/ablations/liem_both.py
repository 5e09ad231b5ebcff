# Table 3, position i, both; also table 4, without frequency loss.
_base_ = '../star/i2vgen.py'
model = dict(losses=dict(frequency=None))
