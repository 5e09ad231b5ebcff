"""Which configs the tests of all configs leave to the slow tests."""

import re

import pytest

# of full size, with the networks of another config
AGAIN = re.compile(
    r'star/(i2vgen|cogvideox)_(fourstep|onestep_(pixel|fsdp)|fourstep_pixel)'
)


def slow_again(name):
    """Mark a config whose networks take long and are those of another."""
    slow = [pytest.mark.slow] * bool(AGAIN.match(name))
    return pytest.param(name, marks=slow)


def slow_row(name):
    """Mark these and the ablations, which test_ablations.py trains small."""
    slow = name.startswith('ablations/') or AGAIN.match(name)
    return pytest.param(name, marks=[pytest.mark.slow] * bool(slow))
