# Table 4, not separated: whole spectra, without c(t).
_base_ = '../star/i2vgen.py'
model = dict(losses=dict(frequency=dict(alpha=1, separate=False)))
