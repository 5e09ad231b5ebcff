"""Weights that stay on the CPU and go to the device while they are needed."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

OFFLOADS = ('none', 'model', 'block')
_DEVICE = 'computes_on'  # attribute of a part whose weights are elsewhere


class Turns:
    """Groups of layers whose weights take turns on a device.

    The weights of the group whose layer is called are copied there; those of
    the group before are dropped there. All else (norms, gates, buffers) is
    small and stays on the device.

    Attributes:
        device: where the layers compute.
        moves: how often a group has been copied to the device.

    Args:
        groups: layers that are on the device together.
        device: where the layers compute.
    """

    def __init__(
        self, groups: Sequence[Sequence[nn.Module]], device: torch.device
    ) -> None:
        self.device = device
        self.moves = 0
        self._here = -1
        self._homes = [
            [
                (tensor, _home(tensor, device))
                for layer in group
                for tensor in (*layer.parameters(), *layer.buffers())
            ]
            for group in groups
        ]
        for index, group in enumerate(groups):
            for layer in group:
                layer.register_forward_pre_hook(self._hook(index))

    def release(self) -> None:
        """Drop what is on the device."""
        if self._here >= 0:
            for tensor, home in self._homes[self._here]:
                tensor.data = home
        self._here = -1

    def _hook(self, index: int) -> Any:
        def enter(layer: nn.Module, inputs: object) -> None:
            if self._here != index:
                self._load(index)

        return enter

    @torch._disable_dynamo  # `torch.compiler.disable` loads it at once
    def _load(self, index: int) -> None:
        self.release()
        # weights that a restoration lends are no inference tensors
        with torch.inference_mode(False):
            for tensor, home in self._homes[index]:
                tensor.data = home.to(
                    self.device, non_blocking=True, copy=True
                )
        self._here = index
        self.moves += 1


def offload(
    denoiser: Sequence[nn.Module],
    others: Sequence[nn.Module],
    way: str,
    device: torch.device,
) -> Turns:
    """Keep the weights of networks on the CPU.

    Args:
        denoiser: networks on the CPU that are called in turn, such as
            ControlNet and backbone.
        others: networks on the CPU of which each is used for a while.
        way: 'model' for the whole denoiser or another network on the device
            at a time; 'block' for one layer of the denoiser, which takes
            least memory and most copies.
        device: where to compute.

    Returns:
        The groups that take turns.

    Raises:
        ValueError: unknown way.
    """
    if way not in OFFLOADS[1:]:
        raise ValueError(
            f'`offload` must be one of {", ".join(OFFLOADS)}, got {way!r}'
        )
    groups = [[layer for part in denoiser for layer in _layers(part)]]
    if way == 'block':
        groups = [[layer] for layer in groups[0]]
    groups += [_layers(part) for part in others]
    heavy = {id(layer) for group in groups for layer in group}
    for part in (*denoiser, *others):
        _place_rest(part, heavy, device)
        set_device(part, device)
    return Turns([group for group in groups if group], device)


def set_device(part: nn.Module, device: torch.device | None) -> None:
    """Note where a part computes, whose weights are elsewhere.

    Args:
        part: the part.
        device: where; None for where its weights are.
    """
    setattr(part, _DEVICE, device)


def device_of(part: Any) -> torch.device:
    """Return the device where a part computes; the CPU without weights."""
    found = getattr(part, _DEVICE, None)
    if found is not None:
        return found
    first = next(part.parameters(), None)
    return torch.device('cpu') if first is None else first.device


def _layers(part: nn.Module) -> list[nn.Module]:
    """List what has nearly all weights, and is called wherever it is used."""
    return [m for m in part.modules() if isinstance(m, nn.Linear | _ConvNd)]


def _place_rest(
    part: nn.Module, heavy: set[int], device: torch.device
) -> None:
    """Move all that is not in the layers of `heavy` to a device."""
    for module in part.modules():
        if id(module) in heavy:
            continue
        for parameter in module.parameters(recurse=False):
            parameter.data = parameter.data.to(device)
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, buffer.to(device))


def _home(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a weight's own memory, from which copies are fast."""
    data = tensor.data.cpu()
    return data.pin_memory() if device.type == 'cuda' else data
