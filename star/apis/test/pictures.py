"""Pictures of tested clips: low-quality, restored, ground truth."""

from pathlib import Path

import cv2
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from star.structures import VideoSample
from star.utils.files import write_bytes


def picture_paths(
    folder: str | Path, dataset: str, name: str, num_frames: int
) -> dict[int, Path]:
    """Return the files of a clip's pictures: first, middle and last frame.

    Args:
        folder: of all pictures.
        dataset: name of the clip's set.
        name: of the clip.
        num_frames: of the clip.

    Returns:
        Paths by index of the frame.
    """
    indices = sorted({0, num_frames // 2, num_frames - 1})
    place = Path(folder) / dataset / name
    return {index: place / f'{index:08d}.png' for index in indices}


def draw_pictures(folder: str | Path, lq: Tensor, sample: VideoSample) -> None:
    """Write pictures of a clip, each `lq`, `pred` and `gt` side by side.

    `lq` is enlarged to the size of `pred` by repeating pixels. Without ground
    truth there are two parts.

    Args:
        folder: of all pictures.
        lq: low-quality clip, (T, 3, h, w) uint8 RGB.
        sample: with `pred`, (T, 3, H, W) uint8 RGB.

    Raises:
        OSError: a file cannot be written.
    """
    pred, gt = sample.pred, sample.gt
    assert pred is not None
    size = pred.shape[-2:]
    paths = picture_paths(folder, sample.dataset, sample.name, len(pred))
    for index, path in paths.items():
        clips = [lq, pred] if gt is None else [lq, pred, gt]
        parts = [interpolate(clip[[index]], size)[0] for clip in clips]
        image = torch.cat(parts, dim=-1).permute(1, 2, 0).flip(-1)
        done, data = cv2.imencode('.png', image.contiguous().numpy())
        assert done, 'PNG takes every image'
        write_bytes(path, data.tobytes())
