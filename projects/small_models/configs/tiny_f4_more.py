# tiny_f4_sampler.py's weights, trained on: two thirds of the windows are films
# of pictures, letters and toy blocks. README.md has the commands.
_base_ = 'tiny_f4_sampler.py'
pairs = dict(
    type='PairArrays',
    data_root='data/star_tiny_pairs',
    num_frames=3,
    pipeline={{_base_.train_dataloader.dataset.pipeline}},
)
films = dict(
    type='PairArrays',
    data_root='data/star_tiny_film_pairs',
    num_frames=3,
    pipeline={{_base_.train_dataloader.dataset.pipeline}},
)
train_dataloader = dict(
    batch_size=5,
    dataset=dict(
        _delete_=True,
        type='Alternating',
        datasets=[pairs, films, dict(films, seed=1)],
    ),
)
model = dict(
    # a second step costs half as much again, and one is as good
    steps=(1, 1, 1, 2),
    loss=dict(lpips=2.5, grid=8.0, least_lpips=0.3),
)
optim_wrapper = dict(optimizer=dict(lr=7e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=30),
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        begin=30,
        T_max=3370,
        eta_min=1.4e-5,
    ),
]
train_cfg = dict(max_iters=3400)
default_hooks = dict(ema=dict(decay=0.995))
