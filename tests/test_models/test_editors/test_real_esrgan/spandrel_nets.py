"""Networks of the package spandrel, to compare with."""

import importlib

import pytest
from torch import Tensor, nn

from star.utils.compat import allow_missing_torchvision_operators


def spandrel_net(kind: str, state: dict[str, Tensor]) -> nn.Module:
    """Build spandrel's network for a state dict; skip without the package.

    Args:
        kind: 'ESRGAN' or 'Compact'.
        state: with official names.
    """
    allow_missing_torchvision_operators()
    pytest.importorskip('spandrel')
    module = importlib.import_module(f'spandrel.architectures.{kind}')
    architecture = getattr(module, f'{kind}Arch')()
    plain = {name: tensor.contiguous() for name, tensor in state.items()}
    return architecture.load(plain).model.eval()
