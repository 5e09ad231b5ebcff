# i2vgen_onestep.py with the networks' weights, gradients and optimiser state
# shared out over the GPUs.
_base_ = ['i2vgen_onestep.py', '../_base_/strategies/fsdp.py']
strategy = dict(
    model_wrapper=dict(
        auto_wrap_policy=dict(
            names=('I2VGenUNet', 'UNetControlNet', 'LIEM', 'LoRA'),
        ),
    ),
)
