"""One thread for the tests' small tensors: more only wait for each other."""

import torch

torch.set_num_threads(1)
