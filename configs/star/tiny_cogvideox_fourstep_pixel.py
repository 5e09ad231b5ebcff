# The second stage of tiny_cogvideox_fourstep.py, on decoded pixels.
_base_ = 'tiny_cogvideox_onestep_pixel.py'
model = dict(
    restore_options=dict(steps=4, strength=1.0, noise='per_frame'),
)
