"""The published sizes of CogVideoX, and the configs that they belong to."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from star.utils.state_dicts import HasShape

# width and layers: name, config, and the position encoding of the network
_PUBLISHED = {
    (1920, 30): ('CogVideoX-2B', 'cogvideox_2b', 'sincos'),
    (3072, 42): ('CogVideoX-5B', 'cogvideox_5b', 'rope'),
}
_PATCHES = re.compile(
    r'(^|\.)(patch_embed\.proj|mixins\.patch_embed\.proj_sr)\.weight$'
)
_LAYER = re.compile(r'(^|\.)transformer(_blocks|\.layers)\.(\d+)\.')


@dataclass(frozen=True)
class NetworkSize:
    """Size of a transformer of CogVideoX.

    Args:
        width: channels of a token.
        layers: number of blocks.
    """

    width: int
    layers: int

    @property
    def name(self) -> str:
        """Name of the published model; empty if there is none."""
        return _PUBLISHED.get((self.width, self.layers), ('', '', ''))[0]

    @property
    def config(self) -> str:
        """Name of its config; empty if there is none."""
        return _PUBLISHED.get((self.width, self.layers), ('', '', ''))[1]

    @property
    def positions(self) -> str:
        """Its position encoding; empty if there is no published model."""
        return _PUBLISHED.get((self.width, self.layers), ('', '', ''))[2]

    def __str__(self) -> str:
        """Describe it with its size."""
        size = f'width {self.width}, {self.layers} layers'
        return f'{self.name or "no published model"} ({size})'


def find_size(tensors: Mapping[str, HasShape]) -> NetworkSize | None:
    """Derive a transformer's size from names and shapes.

    Args:
        tensors: by official, diffusers' or our names.

    Returns:
        The size; None if these are no tensors of CogVideoX's transformer.
    """
    width = [
        t.shape[0] for name, t in tensors.items() if _PATCHES.search(name)
    ]
    layers = {m[3] for name in tensors if (m := _LAYER.search(name))}
    return NetworkSize(width[0], len(layers)) if width and layers else None


def check_size(
    found: NetworkSize,
    wanted: NetworkSize | None,
    source: object,
    config: object,
) -> None:
    """Refuse weights of another size than a config's network.

    Args:
        found: of the weights.
        wanted: of the config's network; None if it has another one.
        source: of the weights, for the message.
        config: name of the config, for the message.

    Raises:
        ValueError: naming both models and the config that fits.
    """
    if found != wanted:
        right = 'a config of its size'
        if found.config:
            right = f'the config {found.config}'
        raise ValueError(
            f'{source} holds {found}, but the config {config} is for '
            f'{wanted or "another network"}: use {right}'
        )
