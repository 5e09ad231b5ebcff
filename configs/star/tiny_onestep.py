# A student of tiny.py that restores in one step: first stage, on latents. Its
# teacher has to be trained first; see README.md.
_base_ = 'tiny.py'
teacher = 'tiny'
weights = dict(_delete_=True, random=True)
model = dict(
    losses=dict(
        _delete_=True,
        type='Distillation',
        latent=dict(type='LatentLoss'),
    ),
    restore_options=dict(
        mode='normal',
        sampler='ddim',
        steps=1,
        strength=0.33,
        noise='none',
        guidance_scale=1,
    ),
)
train_dataloader = dict(
    dataset=dict(
        _delete_=True, type='CachedLatents', cache_root='data/teacher/tiny'
    ),
)
optim_wrapper = dict(optimizer=dict(lr=1e-4))
