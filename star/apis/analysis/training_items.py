"""Items of a training as pictures, with their draws."""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate
from torch.utils.data import Dataset

from star.registry import DATASETS
from star.structures import VideoSample
from star.utils.files import write_json

_ENDLESS = 'DrawSampler'  # of data sets whose items have numbers


def open_training_set(config: Config) -> Dataset:
    """Build the training data of a config.

    Raises:
        ValueError: the config has none, or its data are missing or wrong.
    """
    if config.get('train_dataloader') is None:
        raise ValueError(
            f'config {config.filename} is not for training: it has no '
            '`train_dataloader`'
        )
    return DATASETS.build(config.train_dataloader.dataset)


def item_numbers(config: Config, dataset: Any, start: int = 0) -> range:
    """Return the numbers of the items, from one on.

    Args:
        config: whose sampler gives endless numbers, or each clip once.
        dataset: from `open_training_set`.
        start: the first number.

    Raises:
        ValueError: `start` is beyond the last item.
    """
    if config.train_dataloader.get('sampler', {}).get('type') == _ENDLESS:
        return range(start, start + 2**31)
    if start >= len(dataset):
        raise ValueError(
            f'`start` must be below {len(dataset)}, the number of items, got '
            f'{start}'
        )
    return range(start, len(dataset))


def write_items(
    dataset: Any, numbers: range, count: int, folder: Path, frames: int = 3
) -> Iterator[tuple[Path, VideoSample]]:
    """Write items as pictures, each with its draws as JSON beside it.

    Args:
        dataset: from `open_training_set`.
        numbers: of the items.
        count: how many items to write, at most.
        folder: gets NUMBER_NAME.png and NUMBER_NAME.json.
        frames: rows of a picture, at most.

    Yields:
        The path of the picture and the sample of each item.

    Raises:
        ValueError: an item cannot be read, or has no ground truth.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number in islice(numbers, count):
        item = dataset[number]
        sample = item['data_samples']
        name = re.sub(r'[^\w.@-]+', '_', sample.name)
        path = folder / f'{number:05d}_{name}.png'
        Image.fromarray(draw_item(item, frames)).save(path)
        write_json(path.with_suffix('.json'), describe_item(number, item))
        yield path, sample


def draw_item(item: dict, frames: int = 3) -> np.ndarray:
    """Draw frames of an item: low quality on the left, ground truth right.

    Args:
        item: `inputs` (T, 3, h, w) uint8 and `data_samples` with `gt`.
        frames: rows, at most: the first, the last, and evenly between.

    Returns:
        (rows x H, 2 W, 3) uint8; the low-quality pixels are enlarged to
        squares.

    Raises:
        ValueError: the item has no pixels of the ground truth.
    """
    lq, gt = item['inputs'], item['data_samples'].gt
    if gt is None or lq is None:
        raise ValueError(
            f'{item["data_samples"].name} has no ground truth to show: cached '
            'latents have no pixels; use the config that they were made from'
        )
    rows = torch.linspace(0, len(gt) - 1, min(frames, len(gt))).round().int()
    size = (gt.shape[-2], gt.shape[-1])
    big = interpolate(lq.float(), size, mode='nearest').to(gt.dtype)
    pairs = torch.cat([big, gt], -1)[rows.long()]
    return _to_picture(pairs)


def describe_item(number: int, item: dict) -> dict[str, Any]:
    """Return the draws of an item, as JSON can hold them."""
    sample: VideoSample = item['data_samples']
    return {
        'item': number,
        'name': sample.name,
        'dataset': sample.dataset,
        'prompt': sample.prompt,
        'fps': sample.fps,
        'seed': sample.seed,
        'lq': list(item['inputs'].shape),
        'gt': None if sample.gt is None else list(sample.gt.shape),
        'degradation': sample.record,
    }


def describe_draws(sample: VideoSample) -> str:
    """Return the steps of a degradation in one line."""
    if not sample.record:
        return 'no degradation recorded'
    steps = sample.record['plans'][0]
    preset, temporal = sample.record['preset'], sample.record['temporal']
    return f'{preset}, {temporal}: ' + '; '.join(map(_describe_step, steps))


def _describe_step(step: dict) -> str:
    """Return a step with its values; of those that vary, the first."""
    words = [step['op']]
    for name, value in step.items():
        if name in ('op', 'seed') or value in ([], False):
            continue
        first = value[0] if isinstance(value, list) else value
        words.append(name)
        if first is not True:
            words.append(f'{first:.3g}' if _is_number(first) else str(first))
    return ' '.join(words)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _to_picture(frames: Tensor) -> np.ndarray:
    """Stack frames (T, 3, H, W) to a picture (T H, W, 3)."""
    return frames.permute(0, 2, 3, 1).flatten(0, 1).contiguous().numpy()
