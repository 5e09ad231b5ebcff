# The second stage of cogvideox_fourstep.py, on decoded pixels; it starts from
# the first: --weights work_dirs/cogvideox_fourstep.
_base_ = 'cogvideox_onestep_pixel.py'
model = dict(
    restore_options=dict(steps=4, strength=1.0, noise='per_frame'),
)
weights = dict(
    star=dict(
        file='star_cogvideox_fourstep.safetensors',
        made_by=(
            'star convert publish work_dirs/cogvideox_fourstep_pixel '
            'star_cogvideox_fourstep.safetensors '
            '--base star_cogvideox_5b.safetensors'
        ),
        source='a training of cogvideox_fourstep_pixel',
    ),
)
start_weights = dict(
    star=dict(
        file='star_cogvideox_fourstep_latent.safetensors',
        made_by=(
            'star convert publish work_dirs/cogvideox_fourstep '
            'star_cogvideox_fourstep_latent.safetensors '
            '--base star_cogvideox_5b.safetensors'
        ),
        source='a training of cogvideox_fourstep',
    ),
)
