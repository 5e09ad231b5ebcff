"""MGLD-VSR's autoencoder: StableSR's, with layers that mix frames."""

from collections.abc import Sequence
from functools import partial

from torch import nn

from star.models.autoencoders.cfw_vae import CFWAutoencoder
from star.models.layers.rrdb import ResidualDenseBlock
from star.models.layers.temporal_mixing import TemporalConvMix
from star.registry import MODELS

_GROWTH = 32


@MODELS.register_module()
class VideoCFWAutoencoder(CFWAutoencoder):
    """Encodes frames, and decodes clips of a fixed length.

    It is called as `CFWAutoencoder`, with the frames of each clip in a row.
    In the decoder a temporal convolution follows each residual block but the
    middle's second. The fusion with the image has two dense blocks in its
    middle. The defaults are the published sizes.

    Args:
        num_frames: of a clip.
        channels: width of each level; every one after the first halves.
        layers: residual blocks of a level; the decoder has one more.

    Source: Yang et al., "Motion-Guided Latent Diffusion", ECCV 2024, 3.3.
    """

    def __init__(
        self,
        num_frames: int = 5,
        channels: Sequence[int] = (128, 256, 512, 512),
        layers: int = 2,
    ) -> None:
        super().__init__(
            channels,
            layers,
            make_middle=_two_dense_blocks,
            make_mixing=partial(TemporalConvMix, num_frames=num_frames),
        )
        self.num_frames = num_frames


def _two_dense_blocks(dim: int) -> nn.Module:
    return nn.Sequential(
        ResidualDenseBlock(dim, _GROWTH), ResidualDenseBlock(dim, _GROWTH)
    )
