# A student of cogvideox_teacher.py that restores in one step, without guidance
# and without text: first stage, on latents. cogvideox_onestep_pixel.py is the
# second, and has the weights to restore with.
_base_ = 'cogvideox_5b.py'
teacher = 'cogvideox_teacher'
model = dict(
    losses=dict(
        _delete_=True,
        type='Distillation',
        latent=dict(type='LatentLoss'),
        path=dict(type='TeacherPathLoss'),
        path_share=0.25,
    ),
    restore_options=dict(
        sampler='ddim',
        steps=1,
        strength=0.3994,  # t = 399, as DOVE
        noise='none',
        guidance_scale=1,
        guidance_exponent=0,
        prompt='',
    ),
)
weights = dict(
    star=dict(
        _delete_=True,
        file='star_cogvideox_onestep.safetensors',
        made_by=(
            'star convert publish work_dirs/cogvideox_onestep_pixel '
            'star_cogvideox_onestep.safetensors '
            '--base star_cogvideox_5b.safetensors'
        ),
        source='a training of cogvideox_onestep_pixel',
    ),
    # once it is made, it is read instead of `text`
    prompts=dict(
        file='star_cogvideox_no_text.safetensors',
        made_by='star prepare prompts cogvideox_onestep',
    ),
)
start_weights = dict(star={{_base_.weights.star}})
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='CachedLatents',
        cache_root='data/teacher/cogvideox',
    ),
)
# DOVE's schedule, arXiv 2505.16239
optim_wrapper = dict(
    optimizer=dict(lr=2e-5, betas=(0.9, 0.95), weight_decay=1e-4),
    clip_grad=dict(max_norm=0.1),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=100),
    dict(type='ConstantLR', factor=1.0, by_epoch=False, begin=100, end=10000),
]
train_cfg = dict(max_iters=10000)
