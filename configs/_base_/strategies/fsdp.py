# Weights, gradients and optimiser state of STAR's networks shared out over
# the GPUs; the frozen parts are whole on each.
runner_type = 'FlexibleRunner'
strategy = dict(
    type='FSDPStrategy',
    model_wrapper=dict(
        type='MMFullyShardedDataParallel',
        use_orig_params=True,
        ignored_modules=['autoencoder', 'text_encoder'],
        auto_wrap_policy=dict(
            type='star.wrap_by_class',
            names=('I2VGenUNet', 'UNetControlNet', 'LIEM'),
        ),
    ),
)
