# All parts at a small size, with random numbers: for tests and demos.
_base_ = 'upscale_a_video.py'
model = dict(
    unet=dict(widths=(32, 64, 64, 64), heads=2, context_dim=16, layers=1),
    vae=dict(widths=(32, 32, 32), layers=1),
    text_encoder=dict(_delete_=True, type='ConstantTextEncoder', dim=16),
    weights=(None,),
    segment=2,
    restore_options=dict(steps=1),
)
