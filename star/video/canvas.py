"""Frames at the size at which image diffusion restores them."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from star.video.padding import crop, pad_amount, pad_reflect

MULTIPLE = 32  # of the padded sides
Size = tuple[int, int]


@dataclass(frozen=True)
class Canvas:
    """Sizes of a frame on its way, each (height, width).

    Args:
        enlarged: after the enlargement.
        padded: after the padding at the bottom and on the right.
        result: of the restored frame, at most `enlarged`.
        official: how `finish` treats small frames, see there.
    """

    enlarged: Size
    padded: Size
    result: Size
    official: bool = False

    def prepare(self, clip: Tensor) -> Tensor:
        """Enlarge frames, and mirror their borders into the padding.

        Args:
            clip: (t, 3, h, w) in [-1, 1].

        Returns:
            (t, 3, *padded), clamped.
        """
        large = _resize(clip, self.enlarged).clamp(-1, 1)
        return pad_reflect(
            large,
            self.padded[0] - self.enlarged[0],
            self.padded[1] - self.enlarged[1],
        )

    def finish(self, frames: Tensor) -> Tensor:
        """Remove the padding, then shrink what was enlarged too much.

        The official scripts of StableSR and MGLD-VSR shrink first and do not
        crop then, so that their results are too large. With `official`
        these are cropped to the right size.

        Args:
            frames: (t, 3, *padded).

        Returns:
            (t, 3, *result).
        """
        if self.enlarged == self.result:
            return crop(frames, *self.result)
        if not self.official:
            return _resize(crop(frames, *self.enlarged), self.result)
        ratio = min(self.result) / min(self.enlarged)
        height, width = (
            max(int(side * ratio), least)
            for side, least in zip(self.padded, self.result, strict=True)
        )
        return crop(_resize(frames, (height, width)), *self.result)


def plan_canvas(
    size: Size, scale: int = 4, least: int = 512, official: bool = False
) -> Canvas:
    """Plan how frames are enlarged and padded.

    Args:
        size: height and width of the low-quality frame.
        scale: of the result.
        least: sides after the enlargement: smaller frames are enlarged more,
            and shrunk at the end.
        official: pad both sides if either needs it, as the official scripts
            of StableSR and MGLD-VSR do, and see `Canvas.finish`.
    """
    factor = max(least / min(size), scale)
    exact = int if official else round
    enlarged = exact(size[0] * factor), exact(size[1] * factor)
    multiple = (MULTIPLE, MULTIPLE)
    bottom, right = pad_amount(*enlarged, multiple, (0, 0))
    if official and (bottom or right):
        bottom, right = bottom or MULTIPLE, right or MULTIPLE
    return Canvas(
        enlarged,
        (enlarged[0] + bottom, enlarged[1] + right),
        (scale * size[0], scale * size[1]),
        official,
    )


def _resize(frames: Tensor, size: Size) -> Tensor:
    return F.interpolate(frames, size, mode='bicubic', align_corners=False)
