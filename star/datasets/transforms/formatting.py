"""`PackVideoInputs`, the last transform: a dict of arrays to an item."""

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from torch import Tensor

from star.registry import TRANSFORMS
from star.structures import VideoSample


def to_clip(frames: np.ndarray) -> Tensor:
    """Turn frames (T, H, W, C) into a clip tensor (T, C, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(frames.transpose(0, 3, 1, 2)))


def _draw_seed(rng: np.random.Generator | None) -> int | None:
    return None if rng is None else int(rng.integers(2**31))


@TRANSFORMS.register_module()
class PackVideoInputs(BaseTransform):
    """Packs `lq`, `gt` and all other data of a clip into a dataset item."""

    def transform(self, results: dict) -> dict:
        """Return `inputs`, (T, C, h, w) uint8, and `data_samples`."""
        gt = results.get('gt')
        sample = VideoSample(
            gt=None if gt is None else to_clip(gt),
            prompt=results.get('prompt', ''),
            name=results['name'],
            dataset=results.get('dataset', ''),
            fps=results.get('fps'),
            scale=results.get('scale'),
            record=results.get('record'),
            seed=_draw_seed(results.get('rng')),
            files=results.get('files', {}),
        )
        lq = results['lq'] if 'lq' in results else results['gt']
        return {'inputs': to_clip(lq), 'data_samples': sample}
