# i2vgen_fourstep.py with the networks of tiny.py: first stage, on latents.
_base_ = 'tiny_onestep.py'
model = dict(
    losses=dict(path_share=0.5),
    restore_options=dict(steps=4, strength=1.0, noise='per_frame'),
)
