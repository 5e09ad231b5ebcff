"""Autoencoders: clips to latents and back; others of a method of its own."""

from star.models.autoencoders.cogvideox_vae import CogVideoXVAE
from star.models.autoencoders.patch_dct import PatchDCT
from star.models.autoencoders.small_decoder import SmallDecoder
from star.models.autoencoders.small_decoder_vae import SmallDecoderVAE
from star.models.autoencoders.temporal_vae import TemporalVAE
from star.models.autoencoders.uav_vae import UAVVAE
from star.models.autoencoders.video_cfw_vae import VideoCFWAutoencoder

__all__ = [
    'UAVVAE',
    'CogVideoXVAE',
    'PatchDCT',
    'SmallDecoder',
    'SmallDecoderVAE',
    'TemporalVAE',
    'VideoCFWAutoencoder',
]
