"""Video autoencoders whose decoder is a small network."""

from typing import Any

from torch import nn

from star.models.autoencoders.small_decoder import check_decoder
from star.models.autoencoders.temporal_vae import load_vae_weights
from star.registry import MODELS


@MODELS.register_module()
def SmallDecoderVAE(
    autoencoder: dict, decoder: dict, pretrained: str | None = None
) -> nn.Module:
    """Build an autoencoder that decodes with a small network.

    Encoding, latents, windows and tiles stay as they were; so the small
    decoder takes the place of the own one anywhere. Its weights are named
    `decoder.*`, those of the encoder `vae.*`.

    Args:
        autoencoder: config of a TemporalVAE or CogVideoXVAE, without
            `pretrained`.
        decoder: config of a SmallDecoder.
        pretrained: weights of the autoencoder, as for `load_vae_weights`.

    Returns:
        The autoencoder of that config, without its decoder.

    Raises:
        ValueError: the decoder is for other latents, the autoencoder cannot
            be given another one, or the weights do not fit.
    """
    whole: Any = MODELS.build(autoencoder)
    if not hasattr(whole, 'use_decoder'):
        raise ValueError(
            '`autoencoder` must be one whose decoder can be replaced, such '
            f'as TemporalVAE or CogVideoXVAE, got {type(whole).__name__}'
        )
    small = MODELS.build(decoder)
    check_decoder(small, whole)
    whole.use_decoder(small)
    if pretrained is not None:
        load_vae_weights(whole, pretrained)
    return whole
