"""Keeps the tests quick: what they need not do, and how many threads."""

import signal

import pytest
import torch
from mmengine.config import config

# each run lays its config out five times, which takes longer than the run
config.FormatCode = lambda text, **_: (text, False)
torch.set_num_threads(1)  # small tensors: more only wait for each other
# a shell lets what it starts in the background ignore Ctrl-C
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _same_numbers_in_any_order() -> None:
    """Let no test depend on how many random numbers others drew."""
    torch.manual_seed(4711)  # none that a test takes for a generator
