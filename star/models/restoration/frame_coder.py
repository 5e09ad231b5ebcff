"""Between frames and latents: enlarge, pad, encode; decode, crop, colour."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from star.models.contracts import Autoencoder
from star.models.data_preprocessor import to_float, to_pixels, upsample_clip
from star.models.restoration.frame_plan import FramePlan
from star.models.restoration.options import RestoreOptions
from star.models.restoration.segments import frame_generator
from star.video.color_fix import COLOR_FIXES


class FrameCoder:
    """Turns frames of one clip into latents, and latents into output.

    Args:
        autoencoder: in evaluation mode.
        options: of the restoration.
        plan: sizes of the clip's frames.
        device: of the networks.
    """

    def __init__(
        self,
        autoencoder: Autoencoder,
        options: RestoreOptions,
        plan: FramePlan,
        device: torch.device,
    ) -> None:
        self.autoencoder = autoencoder
        self.options = options
        self.plan = plan
        self.device = device

    def enlarge(self, lq: Tensor) -> Tensor:
        """Enlarge and pad pixels (t, 3, h, w): float in [-1, 1]."""
        return self.plan.pad(self._enlarge(lq))

    def encode(self, frames: Tensor, draw: int, start: int) -> Tensor:
        """Encode enlarged frames.

        Args:
            frames: (t, 3, H, W) float, padded.
            draw: number of the random draw for the autoencoder's posterior.
            start: index of the first frame within the clip.

        Returns:
            Latents (1, C, t', h, w), float32 on the CPU.
        """
        generator = frame_generator(self.options.seed, draw, start)
        x = frames.transpose(0, 1)[None]
        z = self.autoencoder.encode(x, generator, tile=self.options.tile)
        return z.float().cpu()

    def decode(self, z: Tensor) -> Iterator[Tensor]:
        """Decode latents to pieces (1, 3, t, H, W), padded, about [-1, 1]."""
        return self.autoencoder.decode_pieces(z, tile=self.options.tile)

    def finish(self, piece: Tensor, lq: Tensor) -> Tensor:
        """Make decoded frames output.

        Args:
            piece: (1, 3, t, H, W).
            lq: the same frames of the input, (t, 3, h, w) uint8 or uint16.

        Returns:
            (t, 3, H', W') of the type of `lq`, on the CPU.
        """
        clip = self.plan.crop(piece[0].transpose(0, 1).float())
        fix = COLOR_FIXES[self.options.color_fix]
        clip = fix(clip, self._enlarge(lq))
        size = self.plan.output_size
        if size != self.plan.size:
            clip = F.interpolate(
                clip.clamp(-1, 1), size=size, mode='bicubic', antialias=True
            )
        return to_pixels(clip, lq.dtype).cpu()

    def _enlarge(self, lq: Tensor) -> Tensor:
        clip = to_float(lq.to(self.device))
        return upsample_clip(clip, self.plan.size, self.options.upsample)
