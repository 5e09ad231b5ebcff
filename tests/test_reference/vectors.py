"""Reference vectors: where they lie, how to fill weights and to compare.

`tests/data` holds a few that travel with the project; the others are read
from the folder `tests.paths.VECTORS`.
"""

import csv
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.paths import ROOT, VECTORS

DATA = ROOT / 'tests' / 'data'
Vector = Mapping[str, np.ndarray]


def find_vectors(pattern: str) -> list[Path]:
    """List matching files: those that travel, then the others."""
    found: dict[Path, Path] = {}
    for folder in (DATA, VECTORS) if VECTORS else (DATA,):
        for path in sorted(folder.glob(pattern)):
            found.setdefault(path.relative_to(folder), path)
    return list(found.values())


def each_vector(pattern: str) -> pytest.MarkDecorator:
    """Run a test once for each matching file, as `path`."""
    paths: list = find_vectors(pattern)
    if VECTORS is None:
        reason = f'no other vectors {pattern} (set STAR_VECTORS)'
        paths.append(pytest.param(None, marks=pytest.mark.skip(reason)))
    return pytest.mark.parametrize(
        'path', paths, ids=lambda path: path.stem if path else 'others'
    )


def find_vector(name: str) -> Path:
    """Find one file, or skip the test."""
    found = find_vectors(name)
    if not found:
        pytest.skip(f'no {name} (set STAR_VECTORS)')
    return found[0]


def thin(found: np.ndarray | Tensor, vector: Vector) -> np.ndarray:
    """Take the rows and columns (..., H, W) that a thinned vector keeps."""
    step = int(vector.get('step', 1))
    return np.asarray(found)[..., ::step, ::step]


def official_normal(name: str, shape: torch.Size, seed: int) -> Tensor:
    """Draw the normal numbers that belong to an official parameter's name."""
    key = (seed * 1000003 + zlib.crc32(name.encode())) % 2**63
    generator = torch.Generator().manual_seed(key)
    return torch.empty(shape).normal_(generator=generator)


def official_weight(name: str, shape: torch.Size, seed: int) -> Tensor:
    """Fill an official parameter by the rule of all vectors."""
    value = official_normal(name, shape, seed)
    if len(shape) >= 2:
        return value.mul_(0.7 * value[0].numel() ** -0.5)
    return 1 + 0.1 * value if name.endswith('weight') else 0.05 * value


def read_manifest(name: str) -> list[dict[str, str]]:
    """Read the rows of a list of an official file's tensors."""
    text = find_vector(name).read_text(encoding='utf-8')
    lines = text.removeprefix('#').splitlines()
    return list(csv.DictReader(lines, delimiter='\t'))


def read_shapes(name: str) -> dict[str, torch.Size]:
    """Read a list of an official file's tensors that has no header."""
    lines = find_vector(name).read_text(encoding='utf-8').splitlines()
    rows = [line.split('\t')[:2] for line in lines]
    return {
        key: torch.Size(
            [] if shape == 'scalar' else map(int, shape.split('x'))
        )
        for key, shape in rows
    }


def list_tensors(network: nn.Module) -> list[dict[str, str]]:
    """List a network's tensors as a manifest does."""
    parameters = dict(network.named_parameters())
    return [
        {
            'name': name,
            'shape': 'x'.join(map(str, tensor.shape)),
            'dtype': str(tensor.dtype).removeprefix('torch.'),
            'kind': 'param' if name in parameters else 'buffer',
        }
        for name, tensor in network.state_dict().items()
    ]


def close(found: Tensor, expected: Tensor, tolerance: float) -> None:
    """Compare values, wherever they are and of any dtype."""
    torch.testing.assert_close(
        found, expected.to(found), atol=tolerance, rtol=0
    )
