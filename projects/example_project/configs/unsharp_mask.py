# A method from outside, on the same clips and with the same metrics.
_base_ = 'conv3d.py'
model = dict(_delete_=True, type='UnsharpMask', amount=0.5)
