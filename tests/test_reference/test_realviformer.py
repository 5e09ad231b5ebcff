"""RealViformer's outputs on deterministic weights, by the official code."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from star.models.editors import RealViformer
from star.models.editors.real_viformer.real_viformer import RealViformerNet
from tests.test_reference.vectors import (
    each_vector,
    find_vectors,
    list_tensors,
    official_normal,
    official_weight,
    read_manifest,
    thin,
)


def weight(name: str, shape: torch.Size, seed: int) -> Tensor:
    if 'temperature' in name:
        return 1 + 0.1 * official_normal(name, shape, seed)
    return official_weight(name, shape, seed)


def fill(network: RealViformerNet, seed: int) -> None:
    for name, parameter in network.named_parameters():
        parameter.data.copy_(weight(name, parameter.shape, seed))


@each_vector('realviformer/parity_*.npz')
def test_outputs(path: Path):
    vector = np.load(path)
    model = RealViformer().eval()
    fill(model.network, int(vector['seed']))
    for clip, expected in zip(
        vector['lq_ntchw'], vector['out_ntchw'], strict=True
    ):
        model.start_clip()
        with torch.inference_mode():
            found = model.restore_frames(torch.from_numpy(clip))
        # the clip spreads by 0.2
        found = thin(found, vector)
        np.testing.assert_allclose(found, expected, atol=2e-5, rtol=0)


def test_inventory():
    """Names, shapes and types are those of the published file."""
    rows = read_manifest('realviformer/manifest.tsv')
    with torch.device('meta'):
        network = RealViformerNet()
    found = list_tensors(network)
    assert sorted(found, key=str) == sorted(rows, key=str)
    assert len(rows) == 294


def test_vectors_found():
    assert find_vectors('realviformer/parity_*.npz')
