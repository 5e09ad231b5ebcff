"""STAR: real-world video super-resolution with text-to-video diffusion."""

import logging

__version__ = '0.1.0'

# mmengine imports bitsandbytes where it is installed (pyiqa requires it); on
# some processors it warns of a missing kernel that nothing here uses
_BITSANDBYTES = logging.getLogger('bitsandbytes.backends.cpu.ops')
_BITSANDBYTES.setLevel(logging.ERROR)
