# i2vgen_onestep.py with the networks of tiny.py, which is the teacher and has
# to be trained first: first stage, on latents.
_base_ = 'tiny.py'
teacher = 'tiny'
model = dict(
    backbone=dict(lora=dict(type='LoRA', rank=4, alpha=4)),
    frozen=dict(autoencoder=(), text_encoder=(), backbone=('LoRA', 'LIEM')),
    losses=dict(
        _delete_=True,
        type='Distillation',
        latent=dict(type='LatentLoss'),
        path=dict(type='TeacherPathLoss'),
        path_share=0.25,
    ),
    restore_options=dict(sampler='ddim', steps=1, strength=0.33, noise='none'),
)
start_weights = dict(
    star=dict(
        file='star_tiny.safetensors',
        made_by='star convert publish work_dirs/tiny star_tiny.safetensors',
        source='a training of tiny',
    ),
)
train_dataloader = dict(
    dataset=dict(
        _delete_=True, type='CachedLatents', cache_root='data/teacher/tiny'
    ),
)
