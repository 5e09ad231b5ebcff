"""Savings of a network's memory and time: offloading, small weights, kernels.

A network is placed with them once, before it restores.
"""

import importlib.util
import os
import shutil
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from star.models.contracts import Restorer
from star.models.layers.attention import (
    ATTENTIONS,
    AUTO,
    AttentionLayer,
    choose_kernel,
)
from star.models.layers.offloading import OFFLOADS, offload, set_device
from star.models.layers.quantized import FORMATS, quantize_weights
from star.utils.checks import check_choice

NONE = 'none'
QUANTIZATIONS = (NONE, *FORMATS)
_DENOISERS = ('controlnet', 'backbone', 'unet')
_COMPILERS = ('g++', 'clang++', 'c++')


@dataclass(frozen=True)
class Savings:
    """Choices by which networks save memory and time; all off by default.

    Args:
        offload: 'none', or where the weights wait on the CPU: 'model' for
            denoiser and autoencoder by turns on the device, 'block' for one
            layer of the denoiser at a time. The result is the same.
        quantize: 'none', or how the denoiser's weights are stored: 'int8',
            'fp8' or 'nf4'; see `quantize_weights`.
        compile: compile the denoiser with torch.compile.
        attention: kernel of the denoiser's attention, one of `ATTENTIONS`.

    Raises:
        ValueError: an unknown word.
    """

    offload: str = NONE
    quantize: str = NONE
    compile: bool = False
    attention: str = AUTO

    def __post_init__(self) -> None:
        for name, words in (
            ('offload', OFFLOADS),
            ('quantize', QUANTIZATIONS),
            ('attention', ATTENTIONS),
        ):
            check_choice(name, getattr(self, name), words)


OFF = Savings()


def describe_savings(restorer: Restorer) -> dict[str, Any]:
    """Return those savings of a placed restorer that change its results."""
    savings = getattr(restorer, 'savings', OFF)
    names = 'quantize', 'attention', 'compile'
    found = {name: getattr(savings, name) for name in names}
    return {k: now for k, now in found.items() if now != getattr(OFF, k)}


def place_with(
    restorer: Restorer,
    device: torch.device,
    dtype: torch.dtype,
    savings: Savings = OFF,
) -> None:
    """Place a restorer's networks so that they save memory and time.

    Args:
        restorer: with its weights; changed in place.
        device: where to compute.
        dtype: of the networks' weights.
        savings: what is saved; with none this is `restorer.place`.

    Raises:
        ValueError: something means nothing to the method, or cannot run on
            this device.
    """
    if savings == OFF:
        restorer.place(device, dtype)
        return
    networks = _denoisers(restorer)
    _check(restorer, networks, device, savings)
    cpu, small = torch.device('cpu'), savings.quantize != NONE
    offloaded = savings.offload != NONE
    if small or offloaded:
        restorer.place(cpu, dtype)
    if small:
        count = sum(quantize_weights(n, savings.quantize) for n in networks)
        if not count:
            _refuse('quantize', savings.quantize, restorer)
    if offloaded:
        _offload(restorer, networks, savings.offload, device)
    else:
        restorer.place(device, dtype)
    for network in networks:
        choose_kernel(network, savings.attention, device, dtype)
        if savings.compile:
            network.compile()
    model: Any = restorer
    model.savings = savings


def _denoisers(model: Any) -> list[nn.Module]:
    """List the networks that run at every step."""
    children = dict(model.named_children())
    return [children[name] for name in _DENOISERS if name in children]


def _check(
    model: Any,
    networks: list[nn.Module],
    device: torch.device,
    savings: Savings,
) -> None:
    """Refuse savings that mean nothing to a method, or cannot be had."""
    layers = (m for network in networks for m in network.modules())
    attends = any(isinstance(m, AttentionLayer) for m in layers)
    known = {
        # small networks use weights of layers that they do not call
        'offload': attends and hasattr(model, 'controlnet'),
        'quantize': bool(networks),
        'compile': bool(networks),
        'attention': attends,
    }
    for name, good in known.items():
        value = getattr(savings, name)
        if value != getattr(OFF, name) and not good:
            _refuse(name, value, model)
    if savings.offload != NONE and device.type == 'cpu':
        raise ValueError(
            f'`offload` {savings.offload!r} needs a GPU: on a CPU the weights '
            'are where they compute already'
        )
    if savings.compile:
        if savings.offload != NONE:
            raise ValueError('`compile` does not go with `offload`')
        _check_compiler(device)


def _refuse(name: str, value: object, model: Restorer) -> None:
    raise ValueError(
        f'`{name}` means nothing to {type(model).__name__}, which has no '
        f'such layers, got {value!r}'
    )


def _check_compiler(device: torch.device) -> None:
    """Raise a ValueError where torch.compile lacks what it needs."""
    if device.type == 'cuda':
        if importlib.util.find_spec('triton') is None:
            raise ValueError(
                '`compile` needs the package triton, which is not installed'
            )
        return
    names = [os.environ.get('CXX', ''), *_COMPILERS]
    if not any(name and shutil.which(name) for name in names):
        raise ValueError(
            '`compile` needs a C++ compiler, and there is none: install g++, '
            'or name one in the environment variable CXX'
        )


def _offload(
    model: Any, networks: list[nn.Module], way: str, device: torch.device
) -> None:
    """Leave the text encoder, which runs once, and all weights on the CPU."""
    offload(networks, [model.autoencoder], way, device)
    for name, child in model.named_children():
        if child not in (*networks, model.autoencoder):
            child.to('cpu' if name == 'text_encoder' else device)
    set_device(model, device)
