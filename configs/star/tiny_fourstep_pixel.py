# The second stage of tiny_fourstep.py, on decoded pixels.
_base_ = 'tiny_onestep_pixel.py'
model = dict(
    restore_options=dict(steps=4, strength=1.0, noise='per_frame'),
)
start_weights = dict(
    star=dict(
        file='star_tiny_fourstep_latent.safetensors',
        made_by=(
            'star convert publish work_dirs/tiny_fourstep '
            'star_tiny_fourstep_latent.safetensors'
        ),
        source='a training of tiny_fourstep',
    ),
)
