# A student of i2vgen_teacher.py that restores in one step, without guidance
# and without text: first stage, on latents. i2vgen_onestep_pixel.py is the
# second, and has the weights to restore with.
_base_ = 'i2vgen.py'
teacher = 'i2vgen_teacher'
model = dict(
    backbone=dict(lora=dict(type='LoRA', rank=64, alpha=64), dropout=0.0),
    controlnet=dict(dropout=0.0),
    # beside the ControlNet these learn
    frozen=dict(backbone=('LoRA', 'LIEM')),
    losses=dict(
        _delete_=True,
        type='Distillation',
        latent=dict(type='LatentLoss'),
        path=dict(type='TeacherPathLoss'),
        path_share=0.25,
    ),
    restore_options=dict(
        sampler='ddim',
        mode='normal',
        steps=1,
        strength=0.33,  # t = 297, where this schedule has the noise of DOVE's
        noise='none',
        guidance_scale=1,
        prompt='',
        prompt_suffix='',
        negative_prompt='',
    ),
)
weights = dict(
    _delete_=True,
    star=dict(
        file='star_i2vgen_onestep.safetensors',
        made_by=(
            'star convert publish work_dirs/i2vgen_onestep_pixel '
            'star_i2vgen_onestep.safetensors'
        ),
        source='a training of i2vgen_onestep_pixel',
    ),
    vae={{_base_.weights.vae}},
    text={{_base_.weights.text}},
    # once it is made, it is read instead of `text`
    prompts=dict(
        file='star_i2vgen_no_text.safetensors',
        made_by='star prepare prompts i2vgen_onestep',
    ),
)
start_weights = dict(_delete_=True, star={{_base_.weights.star}})
train_dataloader = dict(
    dataset=dict(
        _delete_=True, type='CachedLatents', cache_root='data/teacher/i2vgen'
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
