_base_ = '../_base_/default_runtime.py'
model = dict(type='Bicubic')
