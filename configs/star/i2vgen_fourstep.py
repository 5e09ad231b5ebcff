# A student of i2vgen_teacher.py that restores in four steps, from the noise
# that the teacher begins with: first stage, on latents.
_base_ = 'i2vgen_onestep.py'
model = dict(
    losses=dict(path_share=0.5),
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
