# i2vgen.py with the networks' weights, gradients and optimiser state shared
# out over the GPUs.
_base_ = ['i2vgen.py', '../_base_/strategies/fsdp.py']
