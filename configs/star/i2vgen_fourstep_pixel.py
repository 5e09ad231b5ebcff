# The second stage of i2vgen_fourstep.py, on decoded pixels; it starts from the
# first: --weights work_dirs/i2vgen_fourstep.
_base_ = 'i2vgen_onestep_pixel.py'
model = dict(
    restore_options=dict(steps=4, strength=1.0, noise='per_frame'),
)
weights = dict(
    star=dict(
        file='star_i2vgen_fourstep.safetensors',
        made_by=(
            'star convert publish work_dirs/i2vgen_fourstep_pixel '
            'star_i2vgen_fourstep.safetensors'
        ),
        source='a training of i2vgen_fourstep_pixel',
    ),
)
start_weights = dict(
    star=dict(
        file='star_i2vgen_fourstep_latent.safetensors',
        made_by=(
            'star convert publish work_dirs/i2vgen_fourstep '
            'star_i2vgen_fourstep_latent.safetensors'
        ),
        source='a training of i2vgen_fourstep',
    ),
)
