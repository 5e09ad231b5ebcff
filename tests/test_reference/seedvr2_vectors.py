"""How SeedVR2's vectors are read, and how its networks are filled."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.test_reference.vectors import close, official_weight

FOLDER = 'seedvr2/**'  # also folders in it
_PROBE, _VALUES = 'probe:', 128


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


def clip_of(x: Tensor) -> Tensor:
    """Put (t, h, w, c) into our order."""
    return x.permute(3, 0, 1, 2)[None]


def tokens_of(x: Tensor) -> Tensor:
    return x[0].permute(1, 2, 3, 0)


@contextmanager
def watched(
    network: nn.Module,
    names: Mapping[str, str],
    inputs: Mapping[str, str] | None = None,
) -> Iterator[dict[str, list[Tensor]]]:
    """Collect what layers return, that of each call flat.

    Args:
        network: of the layers.
        names: of the probes of layers; `:vid` and `:txt` are added where a
            layer has two results.
        inputs: of the probes of what layers get.
    """
    found: dict[str, list[Tensor]] = {}
    handles = []

    def keep(name: str, x: Tensor) -> None:
        found.setdefault(name, []).append(x.flatten().clone())

    def keep_results(name: str, out: Tensor | tuple[Tensor, ...]) -> None:
        if isinstance(out, Tensor):
            keep(name, out)
            return
        for end, x in zip(('vid', 'txt'), out, strict=True):
            keep(f'{name}:{end}', x)

    for layer, name in names.items():
        after = network.get_submodule(layer).register_forward_hook(
            lambda _, given, out, name=name: keep_results(name, out)
        )
        handles.append(after)
    for layer, name in (inputs or {}).items():
        before = network.get_submodule(layer).register_forward_pre_hook(
            lambda _, given, name=name: keep(name, given[0])
        )
        handles.append(before)
    yield found
    for handle in handles:
        handle.remove()


def compare_probes(
    arrays: Mapping[str, Tensor],
    found: Mapping[str, list[Tensor]],
    tolerance: float,
) -> None:
    """Compare layers with a vector's probes, all of which must be there.

    A probe has mean, deviation and largest magnitude of a layer's result,
    and values at even distances.
    """
    probes = {
        name.removeprefix(_PROBE): x
        for name, x in arrays.items()
        if name.startswith(_PROBE)
    }
    assert probes.keys() <= found.keys()
    for name, expected in probes.items():
        flat = torch.cat(found[name])
        places = torch.linspace(0, len(flat) - 1, _VALUES).round().long()
        about = flat.mean(), flat.std(correction=0), flat.abs().max()
        values = torch.cat([torch.stack(about), flat[places]])
        close(values, expected, tolerance)
