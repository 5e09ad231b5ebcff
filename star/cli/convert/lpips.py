"""Convert LPIPS-SqueezeNet from ONNX: `star convert lpips`."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from star.cli.common import DONE
from star.utils.tensor_files import (
    check_target,
    held,
    write_safetensors,
)

PREFIX = 'core.'  # of the metric's own tensors within the graph
HEADS = 7
# Field numbers of the ONNX messages (onnx.proto): ModelProto.graph,
# GraphProto.initializer, TensorProto.dims, .data_type, .name and .raw_data.
GRAPH, INITIALIZER = 7, 5
DIMS, DATA_TYPE, NAME, RAW_DATA = 1, 2, 8, 9
FLOAT = 1


def run(args: argparse.Namespace) -> int:
    """Convert a file and return the exit code."""
    check_target(args.src, args.dst, args.overwrite)
    print(f'{args.dst}: {convert(args.src, args.dst)} tensors')
    return DONE


def convert(src: Path, dst: Path) -> int:
    """Write the state dict; DST appears when complete.

    Returns:
        The number of tensors.

    Raises:
        ValueError: SRC is no ONNX file of LPIPS-SqueezeNet.
        OSError: a file that cannot be read or written.
    """
    try:
        tensors = dict(initializers(src.read_bytes()))
    except (IndexError, ValueError, RuntimeError) as error:
        raise ValueError(f'{src}: not an ONNX file') from error
    state = state_dict(tensors, src)
    lazy = {name: held(tensor) for name, tensor in state.items()}
    write_safetensors(dst, lazy, torch.float32)
    return len(state)


def state_dict(tensors: dict[str, Tensor], src: Path) -> dict[str, Tensor]:
    """Name the graph's tensors as the lpips package does.

    The package registers each head twice, by itself and in a list.

    Raises:
        ValueError: the graph has no heads or no trunk of seven stages.
    """
    state = {
        name.removeprefix(PREFIX): tensor
        for name, tensor in tensors.items()
        if name.startswith(PREFIX)
    }
    for index in range(HEADS):
        head = f'lins.{index}.model.1.weight'
        trunk = f'net.slice{index + 1}.'
        if head not in state or not any(k.startswith(trunk) for k in state):
            raise ValueError(
                f'{src}: not a complete graph of LPIPS-SqueezeNet'
            )
        state[f'lin{index}.model.1.weight'] = state[head].clone()
    return state


def initializers(model: bytes) -> Iterator[tuple[str, Tensor]]:
    """List the float32 constants of an ONNX model."""
    for graph in parts(memoryview(model), GRAPH):
        for tensor in parts(graph, INITIALIZER):
            yield from read_tensor(tensor)


def read_tensor(message: memoryview) -> Iterator[tuple[str, Tensor]]:
    """Read one constant; nothing where it is not float32 in raw bytes."""
    kinds, raw = numbers(message, DATA_TYPE), parts(message, RAW_DATA)
    if kinds == [FLOAT] and raw:
        values = np.frombuffer(raw[0], '<f4').copy()
        tensor = torch.from_numpy(values).reshape(numbers(message, DIMS))
        yield bytes(parts(message, NAME)[0]).decode(), tensor


def numbers(message: memoryview, field: int) -> list[int]:
    """Read all integers under a field number."""
    found = [v for number, v in fields(message) if number == field]
    return [value for value in found if isinstance(value, int)]


def parts(message: memoryview, field: int) -> list[memoryview]:
    """Read all texts, bytes and messages under a field number."""
    found = [v for number, v in fields(message) if number == field]
    return [value for value in found if isinstance(value, memoryview)]


def fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Split a protocol-buffer message.

    Yields:
        Field number and value: an integer, or the bytes of what has a length.

    Raises:
        IndexError: the bytes are no such message.
    """
    place = 0
    while place < len(data):
        key, place = varint(data, place)
        if key & 7 == 0:
            value, place = varint(data, place)
            yield key >> 3, value
            continue
        size = {1: 8, 5: 4}.get(key & 7)
        if key & 7 == 2:
            size, place = varint(data, place)
        if size is None or place + size > len(data):
            raise IndexError('no protocol-buffer message')
        yield key >> 3, data[place : place + size]
        place += size


def varint(data: memoryview, place: int) -> tuple[int, int]:
    """Read a number of variable length; return it and where it ends."""
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, place
