# For a small network that has been trained: a low rate keeps what it knows.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-5, betas=(0.9, 0.99), weight_decay=0),
    clip_grad=dict(max_norm=1.0),
)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=100)
