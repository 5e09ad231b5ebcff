"""Prompts of the nodes, and the clips that they restore."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from star.cli.main import main
from star.video.io import VideoReader
from tests.test_integrations.comfy import Comfy, given

USUAL = {
    'scale': 0.0,
    'seed': -1,
    'window': 0,
    'overlap': -1,
    'tile': -1,
    'color_fix': 'auto',
    'prompt': '',
    'scenes': 'auto',
    'memory_gb': 0.0,
}


FILE = {'codec': '', 'crf': 17.0, 'frames': 0, 'overwrite': False}


def load_node(config: str = 'bicubic', **inputs: Any) -> dict[str, Any]:
    values = {'config': config, 'weights': '', 'dtype': 'auto', **inputs}
    return {'class_type': 'STARLoadMethod', 'inputs': values}


def restore_images(
    comfy: Comfy,
    images: torch.Tensor,
    config: str = 'bicubic',
    mask: torch.Tensor | None = None,
    more: dict[str, Any] | None = None,
    weights: str = '',
    offload: str = 'none',
    published: str = '',
    **values: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run a prompt that restores images."""
    inputs = {'method': ['1', 0], 'images': ['2', 0], **USUAL, **values}
    method = {'weights': weights, 'offload': offload, 'published': published}
    comfy.nodes['GivenImages'] = given('IMAGE', images)
    prompt = {
        '1': load_node(config, **method),
        '2': {'class_type': 'GivenImages', 'inputs': {}},
        '3': {'class_type': 'STARRestore', 'inputs': inputs},
    }
    if mask is not None:
        comfy.nodes['GivenMask'] = given('MASK', mask)
        prompt['4'] = {'class_type': 'GivenMask', 'inputs': {}}
        inputs['mask'] = ['4', 0]
    if more is not None:
        types = comfy.nodes['STAROptions'].INPUT_TYPES()['required']
        own = {k: spec[1]['default'] for k, spec in types.items()}
        prompt['5'] = {'class_type': 'STAROptions', 'inputs': {**own, **more}}
        inputs['options'] = ['5', 0]
    return comfy.run(prompt, '3')


def restore_file(
    comfy: Comfy,
    source: object,
    result: str,
    config: str = 'bicubic',
    **values,
) -> dict[str, Any]:
    """Run a prompt that restores a file."""
    paths = {'source': str(source), 'result': result}
    inputs = {'method': ['1', 0], **paths, **USUAL, **FILE, **values}
    prompt = {
        '1': load_node(config),
        '2': {'class_type': 'STARRestoreFile', 'inputs': inputs},
    }
    return comfy.run(prompt, '2')


def as_images(frames: np.ndarray) -> torch.Tensor:
    """Return frames as ComfyUI's images."""
    peak = np.iinfo(frames.dtype).max
    return torch.from_numpy(frames.astype(np.float32) / peak)


def read(path: Path, depth: int = 8) -> tuple[np.ndarray, list[Any]]:
    """Read pixels and opacity."""
    with VideoReader(path) as reader:
        reader.depth, reader.keep_alpha = depth, True
        frames = list(reader)
    return np.stack([f.image for f in frames]), [f.alpha for f in frames]


def command(*words: object) -> None:
    """Run `star restore`."""
    assert main(['restore', *map(str, words)]) == 0
