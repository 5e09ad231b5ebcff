# The paper's: AdamW at a constant rate for 15,000 iterations.
optim_wrapper = dict(
    type='BFloat16OptimWrapper',
    optimizer=dict(
        type='AdamW',
        lr=5e-5,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=1e-2,
    ),
    clip_grad=dict(max_norm=1.0),
)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=15000)
