"""Stable Diffusion's image autoencoder, and one whose decoder sees the image.

Decoding alone invents detail; features of the low-quality image keep it
faithful ("controllable feature wrapping", Wang et al., "StableSR", 3.3).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from star.models.autoencoders.ldm_names import from_ldm
from star.models.backbones.i2vgen.encoder import dtype_of
from star.models.layers.by_image import each
from star.models.layers.chunked_attention import chunk_attention
from star.models.layers.residual_block import ResidualBlock
from star.models.layers.rrdb import RRDB
from star.registry import MODELS

SCALING = 0.18215  # of latents, so that their deviation is about 1
_LOGVAR = (-30.0, 20.0)
_FUSED = (1, 2)  # levels, 0 being the image's size
_EPS = 1e-6
_FUSION = re.compile(r'decoder\.fusion_layer_(\d+)\.(.+)')
_MIXING = re.compile(r'decoder\.(?:up\.(\d+)\.)?temporal_mixing\.(.+)')

MakeLayer = Callable[[int], nn.Module]  # of channels


class Posterior(NamedTuple):
    """The distribution of latents that an encoder gives, and its features.

    Args:
        mean: (N, 4, h, w), not scaled.
        logvar: logarithm of the variance, (N, 4, h, w).
        features: of the encoder's levels of half and of a quarter of the
            image's size, in this order.
    """

    mean: Tensor
    logvar: Tensor
    features: tuple[Tensor, ...]

    def sample(self, noise: Tensor) -> Tensor:
        """Draw latents, scaled by `SCALING`, with given standard noise."""
        deviation = (0.5 * self.logvar).exp()
        return SCALING * (self.mean + deviation * noise.to(self.mean))


@MODELS.register_module()
class KLEncoder(nn.Module):
    """Encodes images as Stable Diffusion 1 and 2 do, eight times smaller.

    Layers and names are diffusers' `AutoencoderKL`.

    Args:
        channels: width of each level; every one after the first halves.
        layers: residual blocks of a level.
    """

    encoder: Any  # diffusers' mixins hide from mypy that it is a module

    def __init__(
        self,
        channels: Sequence[int] = (128, 256, 512, 512),
        layers: int = 2,
    ) -> None:
        super().__init__()
        from diffusers.models.autoencoders.vae import Encoder  # slow

        self.levels = len(channels)
        self.encoder = Encoder(
            out_channels=4,
            down_block_types=('DownEncoderBlock2D',) * len(channels),
            block_out_channels=tuple(channels),
            layers_per_block=layers,
        )
        self.quant_conv = nn.Conv2d(8, 8, 1)
        chunk_attention(self)

    def encode(self, images: Tensor) -> Posterior:
        """Encode images, (N, 3, H, W) in [-1, 1], sides multiples of 8.

        Returns:
            The posterior in the dtype of `images`; its features in the
            network's.
        """
        net, features = self.encoder, []
        for level, h in enumerate(self._levels(images)):
            if level in _FUSED:
                features.append(h)
        h = net.conv_out(net.conv_act(net.conv_norm_out(net.mid_block(h))))
        moments = self.quant_conv(h).to(images.dtype)
        mean, logvar = moments.chunk(2, 1)
        return Posterior(mean, logvar.clamp(*_LOGVAR), tuple(features))

    def features(self, images: Tensor) -> tuple[Tensor, ...]:
        """Compute the features of `encode` alone, which costs less."""
        return tuple(islice(self._levels(images), _FUSED[0], _FUSED[-1] + 1))

    def _levels(self, images: Tensor) -> Iterator[Tensor]:
        """Yield what each level's last residual block gives."""
        h = self.encoder.conv_in(images.to(dtype_of(self)))
        for block in self.encoder.down_blocks:
            for resnet in block.resnets:
                h = resnet(h, None)
            yield h
            for layer in block.downsamplers or ():
                h = layer(h)


@MODELS.register_module()
class CFWAutoencoder(KLEncoder):
    """An image autoencoder whose decoder takes features of an image.

    The defaults are StableSR's.

    Args:
        channels: as for `KLEncoder`.
        layers: residual blocks of a level; the decoder has one more.
        growth: of the dense blocks of a fusion.
        make_middle: makes the middle of a fusion, (N, C, h, w) to the same
            shape, for C channels; None for two RRDBs.
        make_mixing: makes a layer that follows the decoder's first residual
            block and each of its levels', called with (N, C, h, w) alone;
            None for none.
    """

    decoder: Any

    def __init__(
        self,
        channels: Sequence[int] = (128, 256, 512, 512),
        layers: int = 2,
        growth: int = 32,
        make_middle: MakeLayer | None = None,
        make_mixing: MakeLayer | None = None,
    ) -> None:
        super().__init__(channels, layers)
        from diffusers.models.autoencoders.vae import Decoder  # slow

        self.decoder = Decoder(
            in_channels=4,
            up_block_types=('UpDecoderBlock2D',) * len(channels),
            block_out_channels=tuple(channels),
            layers_per_block=layers,
        )
        self.post_quant_conv = nn.Conv2d(4, 4, 1)
        chunk_attention(self)
        make_middle = make_middle or partial(_two_rrdbs, growth=growth)
        self.fusions = nn.ModuleDict(
            {
                str(level): FusionBlock(
                    channels[level], make_middle(channels[level])
                )
                for level in _FUSED
            }
        )
        make_mixing = make_mixing or _nothing
        self.first_mixing = make_mixing(channels[-1])
        self.mixings = nn.ModuleList(  # by level, 0 being the finest
            nn.ModuleList(make_mixing(dim) for _ in range(layers + 1))
            for dim in channels
        )

    def decode(
        self, z: Tensor, features: Sequence[Tensor], weight: float
    ) -> Tensor:
        """Decode latents, layer by layer, each image by image.

        Args:
            z: (N, 4, h, w), scaled by `SCALING`.
            features: of the images, as `encode` returns them.
            weight: how much the features count: 0 for a plain decoder.

        Returns:
            Images (N, 3, 8 h, 8 w) about [-1, 1], in the dtype of z.
        """
        net = self.decoder
        h = self.post_quant_conv((z / SCALING).to(dtype_of(self)))
        h = self._middle(each(net.conv_in, h))
        for index, block in enumerate(net.up_blocks):
            level = self.levels - 1 - index
            mixings = self.mixings[level]
            assert isinstance(mixings, nn.ModuleList)
            for resnet, mixing in zip(block.resnets, mixings, strict=True):
                h = mixing(each(partial(resnet, temb=None), h))
            if level in _FUSED and weight:
                feature = features[_FUSED.index(level)]
                fuse = partial(_fuse, self.fusions[str(level)], weight)
                h = each(fuse, h, feature)
            for layer in block.upsamplers or ():
                h = each(layer, h)
        end = nn.Sequential(net.conv_norm_out, net.conv_act, net.conv_out)
        return each(end, h).to(z.dtype)

    def _middle(self, h: Tensor) -> Tensor:
        middle = self.decoder.mid_block
        first, second = (
            partial(resnet, temb=None) for resnet in middle.resnets
        )
        h = self.first_mixing(each(first, h))
        return each(second, each(middle.attentions[0], h))


class FusionBlock(nn.Module):
    """Computes what features of an image add to the decoder's.

    Args:
        dim: channels of both.
        middle: (N, dim, h, w) to the same shape.
    """

    def __init__(self, dim: int, middle: nn.Module) -> None:
        super().__init__()
        self.encode_enc_1 = ResidualBlock(2 * dim, dim, eps=_EPS)
        self.encode_enc_2 = middle
        self.encode_enc_3 = ResidualBlock(dim, dim, eps=_EPS)

    def forward(self, encoded: Tensor, decoded: Tensor) -> Tensor:
        """Fuse features, each (N, dim, h, w)."""
        h = self.encode_enc_1(torch.cat([encoded, decoded], 1))
        return self.encode_enc_3(self.encode_enc_2(h))


def kl_state(
    network: KLEncoder, state: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Rename the tensors of an official autoencoder for ours.

    Args:
        network: ours, with or without decoder.
        state: tensors by official name.
    """
    renamed = from_ldm(state, network.levels)
    return {rename_fusion(name): value for name, value in renamed.items()}


def rename_fusion(name: str) -> str:
    """Rename a tensor that only decoders which see an image have."""
    if match := _FUSION.fullmatch(name):
        tail = match[2].replace('conv_out.', 'conv_shortcut.')
        return f'fusions.{match[1]}.{tail}'
    if match := _MIXING.fullmatch(name):
        place = 'first_mixing' if match[1] is None else f'mixings.{match[1]}'
        return f'{place}.{match[2]}'
    return name


def _fuse(
    fusion: nn.Module, weight: float, decoded: Tensor, encoded: Tensor
) -> Tensor:
    return decoded + weight * fusion(encoded, decoded)


def _two_rrdbs(dim: int, growth: int) -> nn.Module:
    return nn.Sequential(RRDB(dim, growth), RRDB(dim, growth))


def _nothing(dim: int) -> nn.Module:
    return nn.Identity()
