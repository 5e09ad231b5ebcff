"""StableSR's UNet with layers in its middle that mix frames."""

from collections.abc import Sequence

from star.models.backbones.stable_diffusion.spade_unet import SpadeUNet
from star.models.layers.temporal_mixing import (
    TemporalAttentionMix,
    TemporalConvMix,
)
from star.registry import MODELS


@MODELS.register_module()
class SpadeVideoUNet(SpadeUNet):
    """Predicts the noise of clips of a fixed length.

    It is called as `SpadeUNet`, with the frames of each clip in a row. Only
    the middle sees several frames: a convolution after its first residual
    block, attention after its transformer, a convolution at its end. The
    defaults are the published sizes.

    Args:
        num_frames: of a clip.
        channels: width of each level.
        layers: residual blocks of a level; the decoder has one more.
        attention_levels: levels with attention; the middle always has it.
        head_dim: channels of an attention head.
        context: size of a text token's embedding.
        structure: channels of the features that modulate.

    Source: Yang et al., "Motion-Guided Latent Diffusion", ECCV 2024.
    """

    def __init__(
        self,
        num_frames: int = 5,
        channels: Sequence[int] = (320, 640, 1280, 1280),
        layers: int = 2,
        attention_levels: Sequence[int] = (0, 1, 2),
        head_dim: int = 64,
        context: int = 1024,
        structure: int = 256,
    ) -> None:
        width = channels[-1]
        super().__init__(
            channels,
            layers,
            attention_levels,
            head_dim,
            context,
            structure,
            after_middle=(
                TemporalConvMix(width, num_frames),
                TemporalAttentionMix(width, num_frames, head_dim),
                TemporalConvMix(width, num_frames),
            ),
        )
        self.num_frames = num_frames
