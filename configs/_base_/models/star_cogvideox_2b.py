# What differs in CogVideoX-2B.
_base_ = 'star_cogvideox.py'
model = dict(
    autoencoder=dict(scaling_factor=1.15258426),
    backbone=dict(num_layers=30, num_heads=30, positions='sincos'),
    schedule=dict(shift=3.0),
)
