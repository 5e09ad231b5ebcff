"""RealViformer's outputs on deterministic weights, by the official code."""

import csv
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from star.models.editors import RealViformer
from star.models.editors.real_viformer.real_viformer import RealViformerNet
from tests.paths import VECTORS, needs_vectors

pytestmark = needs_vectors
FOLDER = VECTORS / 'realviformer' if VECTORS else Path()
FILES = sorted(FOLDER.glob('parity_*.npz')) if VECTORS else [None]
every_file = pytest.mark.parametrize(
    'path', FILES, ids=lambda path: path.stem if path else 'none'
)


def official_weight(name: str, shape: torch.Size, seed: int) -> Tensor:
    key = (seed * 1000003 + zlib.crc32(name.encode())) % 2**63
    value = torch.empty(shape)
    value.normal_(generator=torch.Generator().manual_seed(key))
    if 'temperature' in name:
        return 1 + 0.1 * value
    if len(shape) >= 2:
        return value * 0.7 * value[0].numel() ** -0.5
    if name.endswith('weight'):
        return 1 + 0.1 * value
    return value * 0.05


def fill(network: RealViformerNet, seed: int) -> None:
    for name, parameter in network.named_parameters():
        parameter.data.copy_(official_weight(name, parameter.shape, seed))


@every_file
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
        np.testing.assert_allclose(found.numpy(), expected, atol=2e-5, rtol=0)


def test_inventory():
    """Names, shapes and types are those of the published file."""
    lines = (FOLDER / 'manifest.tsv').read_text().splitlines()
    rows = csv.DictReader(lines, delimiter='\t')
    expected = {tuple(row.values()) for row in rows}
    with torch.device('meta'):
        network = RealViformerNet()
    parameters = dict(network.named_parameters())
    found = {
        (
            name,
            'x'.join(map(str, tensor.shape)),
            str(tensor.dtype).removeprefix('torch.'),
            'param' if name in parameters else 'buffer',
        )
        for name, tensor in network.state_dict().items()
    }
    assert found == expected
    assert len(lines) == 295


def test_vectors_found():
    assert {path.stem for path in FILES} >= {'parity_a', 'parity_b'}
