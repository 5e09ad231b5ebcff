_base_ = 'stablesr.py'
model = dict(restore_options=dict(steps=50))
