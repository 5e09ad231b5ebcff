"""Between frames and latents: enlarge, pad, encode; decode, crop, colour."""

from collections.abc import Iterator
from itertools import count, repeat
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from star.models.contracts import Autoencoder
from star.models.data_preprocessor import to_float, to_pixels, upsample_clip
from star.models.restoration.frame_plan import FramePlan
from star.models.restoration.options import RestoreOptions
from star.models.restoration.segments import frame_generator
from star.utils.distributed import Team, spread_over
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
        self.team: Team | None = None

    def share(self, team: Team) -> None:
        """Let other processes encode frames and decode windows, too."""
        self.team = team

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

    def encode_frame(self, lq: Tensor, draw: int, start: int) -> Tensor:
        """Enlarge and encode one frame.

        Args:
            lq: (1, 3, h, w) uint8 or uint16.
            draw: as for `encode`.
            start: index of the frame within the clip.

        Returns:
            As `encode`.
        """
        return self.encode(self.enlarge(lq), draw, start)

    def encode_frames(
        self, lq: Tensor, draw: int, start: int
    ) -> Iterator[Tensor]:
        """Enlarge and encode frames one by one.

        Args:
            lq: (t, 3, h, w) uint8 or uint16.
            draw: as for `encode`.
            start: index of the first frame within the clip.

        Yields:
            As `encode`, for each frame.
        """
        spread = spread_over(self.team, 'encode')
        return spread(
            self.encode_frame, lq.split(1), repeat(draw), count(start)
        )

    def decode(self, z: Tensor) -> Iterator[Tensor]:
        """Decode latents to pieces (1, 3, t, H, W), padded, about [-1, 1]."""
        tile = self.options.tile
        decode: Any = self.autoencoder.decode_pieces
        if self.team is None or not hasattr(self.autoencoder, 'decode_part'):
            return decode(z, tile=tile)
        return decode(z, tile, self.team.spread('decode'))

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
