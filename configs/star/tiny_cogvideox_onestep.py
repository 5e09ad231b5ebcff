# cogvideox_onestep.py with the networks of tiny_cogvideox.py, which is the
# teacher: first stage, on latents.
_base_ = 'tiny_cogvideox.py'
teacher = 'tiny_cogvideox'
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
        strength=0.3994,
        noise='none',
        guidance_scale=1,
        guidance_exponent=0,
        prompt='',
    ),
)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='CachedLatents',
        cache_root='data/teacher/tiny_cogvideox',
    ),
)
