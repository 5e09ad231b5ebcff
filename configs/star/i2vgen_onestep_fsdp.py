# i2vgen_onestep.py with the networks' weights, gradients and optimiser state
# shared out over the GPUs.
_base_ = 'i2vgen_onestep.py'
runner_type = 'FlexibleRunner'
strategy = dict(
    type='FSDPStrategy',
    model_wrapper=dict(
        type='MMFullyShardedDataParallel',
        use_orig_params=True,
        ignored_modules=['autoencoder', 'text_encoder'],
        auto_wrap_policy=dict(
            type='star.wrap_by_class',
            names=('I2VGenUNet', 'UNetControlNet', 'LIEM', 'LoRA'),
        ),
    ),
)
