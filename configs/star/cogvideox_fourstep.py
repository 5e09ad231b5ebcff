# A student of cogvideox_teacher.py that restores in four steps, from the noise
# that the teacher begins with: first stage, on latents.
_base_ = 'cogvideox_onestep.py'
model = dict(
    losses=dict(path_share=0.5),
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
