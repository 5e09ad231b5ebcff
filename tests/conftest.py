"""One thread for the tests' small tensors: more only wait for each other."""

import signal

import torch

torch.set_num_threads(1)
# a shell lets what it starts in the background ignore Ctrl-C
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
