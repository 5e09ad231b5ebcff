# Table 5, b linear, alpha 2; also table 7, beta 1: the model itself.
_base_ = '../star/i2vgen.py'
