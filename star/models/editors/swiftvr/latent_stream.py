"""The networks of SwiftVR on a clip that comes piece by piece."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from star.models.editors.swiftvr.reae import LAG, Memory, ReAE
from star.models.editors.swiftvr.window_attention import TokenGrid

TIME = 1000.0  # of the one step: x_t is all low quality


@dataclass
class StreamState:
    """The memory that the next piece of a clip, or of a tile, needs.

    Args:
        encoder: memory of the encoder.
        decoder: memory of the decoder.
        lq: newest low-quality latents, (k, C, h, w); None at the beginning.
        x0: newest restored latents, likewise, as many as the decoder's
            memory depends on.
        begun: whether the lag is behind.
    """

    encoder: Memory | None = None
    decoder: Memory | None = None
    lq: Tensor | None = field(default=None)
    x0: Tensor | None = field(default=None)
    begun: bool = False


class Networks:
    """A transformer between an encoder and a decoder.

    Args:
        transformer: diffusers' `WanTransformer3DModel` with windows.
        grid: that its windows read.
        autoencoder: codes the frames.
        text: embedding of the prompt, (L, D).
    """

    def __init__(
        self,
        transformer: nn.Module,
        grid: TokenGrid,
        autoencoder: ReAE,
        text: Tensor,
    ) -> None:
        self.transformer, self.grid = transformer, grid
        self.autoencoder, self.text = autoencoder, text

    def encode(self, frames: Tensor, state: StreamState) -> Tensor:
        """Encode four frames, (4, 3, H, W) in [0, 1], to (1, C, h, w)."""
        z, state.encoder = self.autoencoder.encode(frames, state.encoder)
        return z

    def denoise(self, z: Tensor, context: Tensor | None) -> Tensor:
        """Take one step from low-quality latents to restored ones.

        Args:
            z: (k, C, h, w).
            context: latents before them, which the transformer sees as well;
                None for none.

        Returns:
            Restored latents like `z`: velocity is the difference.
        """
        x = z if context is None else torch.cat([context, z])
        x = x.transpose(0, 1)[None]
        frames, rows, columns = x.shape[2:]
        self.grid.frames = frames
        self.grid.rows, self.grid.columns = rows // 2, columns // 2
        velocity = self.transformer(
            hidden_states=x,
            timestep=torch.full((1,), TIME, device=x.device),
            encoder_hidden_states=self.text[None],
            return_dict=False,
        )[0]
        return (x - velocity)[0].transpose(0, 1)[-len(z) :]

    def decode(self, x0: Tensor, state: StreamState) -> list[Tensor]:
        """Decode latents one by one; the lag of the clip's beginning goes.

        Args:
            x0: (k, C, h, w).
            state: of the clip.

        Returns:
            Frames in [0, 1], in pieces of up to four.
        """
        pieces = []
        for z in x0.split(1):
            out, state.decoder = self.autoencoder.decode(z, state.decoder)
            pieces.append(out if state.begun else out[LAG:])
            state.begun = True
        return pieces

    def take_up(self, state: StreamState) -> None:
        """Make the decoder's memory anew, which a state lacks after a break.

        Args:
            state: with the last `REACH` restored latents, or all.
        """
        assert state.x0 is not None
        state.begun = True
        self.decode(state.x0, state)


def keep_newest(kept: Tensor | None, new: Tensor, count: int) -> Tensor:
    """Return the last `count` of the latents that were kept and new ones."""
    every = new if kept is None else torch.cat([kept, new])
    return every[-count:].clone()
