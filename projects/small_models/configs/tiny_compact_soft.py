# The third training of tiny_compact.py, from the result of the second: twice
# as many pairs, and a quarter of the windows out of focus for certain.
# README.md has the commands and the results.
_base_ = 'tiny_compact_defocus.py'
_pairs = _base_.train_dataloader.dataset.datasets[0]
train_dataloader = dict(
    dataset=dict(
        datasets=[
            _pairs,
            dict(_pairs, data_root='data/star_tiny_film_pairs'),
            dict(_pairs, data_root='data/star_tiny_pairs2'),
            dict(_pairs, data_root='data/star_tiny_film_pairs2'),
            dict(_pairs, data_root='data/star_tiny_pairs_soft'),
            _pairs,
            dict(_pairs, data_root='data/star_tiny_film_pairs_soft'),
            dict(_pairs, data_root='data/star_tiny_pairs2'),
        ],
    ),
)
model = dict(loss=dict(lpips=3.0, temporal=0.6))
optim_wrapper = dict(optimizer=dict(lr=5e-5))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=100),
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        begin=100,
        T_max=3400,
        eta_min=5e-7,
    ),
]
train_cfg = dict(max_iters=3500)
default_hooks = dict(ema=dict(type='TrainedEMAHook', decay=0.999))
