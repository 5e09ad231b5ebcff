# The published recipe for animations: an autoencoder that looks at the input.
_base_ = 'upscale_a_video.py'
model = dict(
    vae=dict(video=True),
    restore_options=dict(steps=20),
)
