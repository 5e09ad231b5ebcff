# tiny_compact.py, trained on what it restores itself, from a network for
# images; README.md has the commands and what came of it.
_base_ = [
    '../../../configs/_base_/default_runtime.py',
    './_base_/datasets/tiny_pairs.py',
    '../../../configs/_base_/models/tiny_compact.py',
    '../../../configs/_base_/schedules/tiny.py',
]
pairs = dict(
    type='PairArrays',
    data_root='data/star_tiny_pairs',
    num_frames=5,
    pipeline={{_base_.train_dataloader.dataset.pipeline}},
)
films = dict(
    type='PairArrays',
    data_root='data/star_tiny_film_pairs',
    num_frames=5,
    pipeline={{_base_.train_dataloader.dataset.pipeline}},
)
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        _delete_=True,
        type='Alternating',
        datasets=[pairs, films],
    ),
)
model = dict(
    _delete_=True,
    type='SamplerTrainer',
    star={{_base_.model}},
    # a second step costs half as much again, and one is nearly as good
    steps=(1, 1, 1, 2),
    strength=0.01,
    trained=('backbone',),
    clean=0.0,
    loss=dict(
        type='RestorationLoss',
        weights='data/lpips_squeeze.safetensors',
        lpips=2.5,
        lpips_frames=2,
        least_lpips=0.3,
    ),
    data_preprocessor=dict(type='VideoDataPreprocessor', scale=4),
)
# the image network's weights are left only slowly: with 3e-4 the loss was a
# sixth above that with 5e-5 after 200 iterations
optim_wrapper = dict(optimizer=dict(lr=5e-5))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=100),
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        begin=100,
        T_max=4400,
        eta_min=1e-6,
    ),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=4500)
default_hooks = dict(
    # small enough to be saved whole
    checkpoint=dict(save_all=True),
    ema=dict(type='TrainedEMAHook', decay=0.998),
)
