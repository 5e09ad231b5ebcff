# A student of tiny_teacher.py that restores in one evaluation, first stage: it
# learns the teacher's results. README.md has the commands.
_base_ = 'tiny_teacher.py'
teacher = 'projects/small_models/configs/tiny_teacher.py'
model = dict(
    losses=dict(
        _delete_=True,
        type='Distillation',
        latent=dict(type='LatentLoss', weight=50.0),
    ),
    # begun later than the teacher, which eight held-out windows prefer
    restore_options=dict(steps=1, strength=0.5),
)
train_dataloader = dict(
    batch_size=2,
    dataset=dict(
        _delete_=True, type='CachedLatents', cache_root='data/star_tiny_taught'
    ),
)
optim_wrapper = dict(optimizer=dict(lr=1e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=20),
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        begin=20,
        T_max=60,
        eta_min=3e-5,
    ),
]
train_cfg = dict(max_iters=80)
default_hooks = dict(
    checkpoint=dict(interval=80), ema=dict(type='TrainedEMAHook', decay=0.95)
)
