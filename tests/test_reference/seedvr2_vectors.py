"""How SeedVR2's vectors are read, and how its networks are filled."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.test_reference.vectors import official_weight

FOLDER = 'seedvr2/**'  # also folders in it


def read(path: Path) -> tuple[dict, dict[str, Tensor]]:
    """Read a vector's meta and its arrays; halves become float32."""
    with np.load(path) as vector:
        meta = json.loads(str(vector['meta']))
        arrays = {
            name: torch.from_numpy(vector[name])
            for name in vector.files
            if name != 'meta'
        }
    return meta, {
        name: x.float() if x.dtype == torch.float16 else x
        for name, x in arrays.items()
    }


def fill(network: nn.Module, seed: int, abs_sum: float) -> None:
    """Fill a network, whose scales and gates are about 1."""
    state = {}
    for name, tensor in network.state_dict().items():
        value = official_weight(name, tensor.shape, seed)
        if name.endswith(('_scale', '_gate')):
            value = 1 + 2 * value  # 0.05 n is 0.1 n here
        state[name] = value
    total = sum(float(x.double().abs().sum()) for x in state.values())
    assert total == pytest.approx(abs_sum, abs=1e-3)
    network.load_state_dict(state, assign=True)
    network.eval()


def close(found: Tensor, expected: Tensor, tolerance: float) -> None:
    torch.testing.assert_close(
        found, expected.to(found), atol=tolerance, rtol=0
    )


def clip_of(x: Tensor) -> Tensor:
    """Put (t, h, w, c) into our order."""
    return x.permute(3, 0, 1, 2)[None]


def tokens_of(x: Tensor) -> Tensor:
    return x[0].permute(1, 2, 3, 0)
