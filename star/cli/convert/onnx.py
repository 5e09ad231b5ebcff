"""Export a small model to ONNX: `star convert onnx`."""

import argparse
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from star.apis.inference.load import init_model
from star.cli.common import DONE
from star.models.contracts import Restorer
from star.models.restoration.graph import make_graph
from star.models.restoration.options import RestoreOptions
from star.utils import compat
from star.utils.files import move

OPSET = 18
SIZES = ((3, 20, 28), (5, 33, 24))  # frames, height, width; first to export
WORST = 1  # levels of 8 bit between both, from rounding


def run(args: argparse.Namespace) -> int:
    """Export a model, compare it with ours, and return the exit code."""
    dst = args.dst
    if dst.suffix != '.onnx':
        raise ValueError(f'{dst}: name must end in .onnx')
    if not dst.absolute().parent.is_dir():
        raise ValueError(f'{dst.parent}: no such folder')
    if dst.exists() and not args.overwrite:
        raise ValueError(f'{dst}: exists (use --overwrite)')
    compat.require('onnx', 'onnx')
    compat.require('onnxscript', 'onnx')
    compat.require('onnxruntime', 'onnx')
    model: Any = init_model(args.config, args.weights, 'cpu', 'fp32')
    temporary = dst.with_name(f'.{dst.name}.tmp')
    try:
        graph = make_graph(model).eval()
        export(graph, temporary)
        worst = compare(model, temporary)
        if worst > WORST:
            raise ValueError(
                f'{dst}: its results differ by {worst} levels from ours, '
                f'more than {WORST}; it is not written'
            )
        move(temporary, dst)
    finally:
        temporary.unlink(missing_ok=True)
    print(
        f'{dst}: input `frames` and output `restored` are uint8 '
        f'(T, 3, height, width) RGB; results differ by at most {worst} of 255'
    )
    return DONE


def draw(shape: tuple[int, int, int]) -> Tensor:
    """Draw a clip of noise, (T, 3, h, w) uint8."""
    frames, height, width = shape
    generator = torch.Generator().manual_seed(0)
    size = (frames, 3, height, width)
    return torch.randint(0, 256, size, dtype=torch.uint8, generator=generator)


@torch.no_grad()
def export(graph: torch.nn.Module, dst: Path) -> None:
    """Write a graph for any number and size of frames."""
    dim = torch.export.Dim
    axes = {0: dim('frames', min=2), 2: dim('height'), 3: dim('width')}
    # our convolutions name a library that ONNX does not know
    with torch.backends.mkldnn.flags(enabled=False), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        torch.onnx.export(
            graph,
            (draw(SIZES[0]),),
            str(dst),
            input_names=['frames'],
            output_names=['restored'],
            opset_version=OPSET,
            dynamic_shapes=(axes,),
            external_data=False,
            dynamo=True,
            verbose=False,
        )


def compare(model: Restorer, path: Path) -> int:
    """Return the largest difference of onnxruntime's results, of 255."""
    session = open_session(path)
    options, worst = options_without_noise(model), 0
    for shape in SIZES:
        clip = draw(shape)
        (got,) = session.run(None, {'frames': clip.numpy()})
        ours = model.restore(clip, options)
        difference = torch.from_numpy(got).int() - ours.int()
        worst = max(worst, int(difference.abs().max()))
    return worst


def options_without_noise(model: Restorer) -> RestoreOptions:
    """Return a model's options, with no noise where it takes some."""
    if 'noise' in model.options_used:
        return replace(model.restore_options, noise='none')
    return model.restore_options


def open_session(path: Path) -> Any:
    """Open a model with onnxruntime, on the CPU."""
    runtime = compat.require('onnxruntime', 'onnx')
    return runtime.InferenceSession(
        str(path), providers=['CPUExecutionProvider']
    )
