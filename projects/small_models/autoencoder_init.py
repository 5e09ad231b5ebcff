"""Start a one-level TemporalVAE as the principal components of patches.

Training an autoencoder from nothing takes long. A network of one level whose
`patch_size` is its whole reduction can be set so that it computes the
principal component analysis of its patches exactly enough to start from
there: residual branches at zero, and the two places where the trunk meets a
normalisation and a SiLU kept in their linear range.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_REFERENCES = 16  # trunk channels held constant, so that norms scale alike
_LEVEL = 20.0  # of those channels, far above the components' deviation
_LIFT = 6.0  # SiLU(x + 6) is about x + 6 for x > -3
_SHRINK = 1 / 3
_LOG_VARIANCE = -20.0  # of the latent: none


@torch.no_grad()
def init_from_patches(vae: nn.Module, frames: Tensor) -> None:
    """Set the weights of diffusers' temporal autoencoder from frames.

    The decoder's trunk has room for further components: the branches, which
    give 0 at first, may fill them in from what surrounds a patch.

    A component's deviation in the latent is the root of its deviation in
    pixels, scaled so that the mean variance of all channels is 1: smooth
    parts, whose errors show most, weigh more in a denoiser's loss.

    Args:
        vae: AutoencoderKLTemporalDecoder of one level, whose GroupNorms have
            one group.
        frames: (N, C * p * p, h, w), pixels folded into channels.

    Raises:
        ValueError: the network has more than one level or is too narrow, or
            has more latent channels than a patch has values.
    """
    parts: Any = vae  # diffusers' modules hide their attributes from mypy
    width, latent = _sizes(parts.config, frames.shape[1])
    mean, basis, deviation = _components(frames, width - _REFERENCES)
    scale = deviation.rsqrt()
    scale /= (deviation * scale)[:latent].square().mean().sqrt()
    _set_encoder(parts.encoder, (basis.T * scale[:, None])[:latent], mean)
    _point(parts.quant_conv, torch.eye(2 * latent), torch.zeros(2 * latent))
    _set_decoder(parts.decoder, basis / scale, mean, latent)


def _sizes(config: Any, values: int) -> tuple[int, int]:
    """Return the channels of the trunk and of the latent."""
    width, latent = config.block_out_channels[-1], config.latent_channels
    least = latent + _REFERENCES
    if len(config.block_out_channels) > 1 or width < least:
        raise ValueError(
            f'`vae` must have one level of at least {least} channels to '
            f'start from patches, got {tuple(config.block_out_channels)}'
        )
    if latent > values:
        raise ValueError(
            f'`vae` must have at most {values} latent channels, as many as a '
            f'patch has values, got {latent}'
        )
    return width, latent


def _set_encoder(encoder: Any, analysis: Tensor, mean: Tensor) -> None:
    """Make the encoder give `analysis @ (patch - mean)`, with no variance."""
    latent, width = len(analysis), encoder.conv_in.out_channels
    _silence_branches(encoder, latent)
    _point(encoder.conv_in, analysis, -analysis @ mean)
    _add_references(encoder.conv_in, latent)
    moments = torch.zeros(2 * latent, width)
    moments[:latent, :latent] = torch.eye(latent)
    offset = torch.zeros(2 * latent)
    offset[latent:] = _LOG_VARIANCE
    _through_norm(encoder.conv_norm_out, encoder.conv_out, moments, offset)


def _set_decoder(
    decoder: Any, synthesis: Tensor, mean: Tensor, latent: int
) -> None:
    """Make the decoder give `synthesis @ trunk + mean`.

    The trunk is the latent, the references, and zeros for the components
    that the latent has no room for.
    """
    width = decoder.conv_in.out_channels
    _silence_branches(decoder, latent)
    _point(decoder.conv_in, torch.eye(latent), torch.zeros(latent))
    _add_references(decoder.conv_in, latent)
    matrix = torch.zeros(len(mean), width)
    matrix[:, :latent] = synthesis[:, :latent]
    further = synthesis[:, latent:]
    first = latent + _REFERENCES
    matrix[:, first : first + further.shape[1]] = further
    _through_norm(decoder.conv_norm_out, decoder.conv_out, matrix, mean)
    _point(decoder.time_conv_out, torch.eye(len(mean)), torch.zeros(len(mean)))


def _components(frames: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean (d,), basis (d, c) and deviations (c,), c <= count."""
    patches = frames.permute(0, 2, 3, 1).flatten(0, 2).double()
    mean = patches.mean(0)
    covariance = torch.cov((patches - mean).T)
    values, vectors = torch.linalg.eigh(covariance)
    order = values.argsort(descending=True)[:count]
    deviation = values[order].clamp_min(1e-8).sqrt()
    return mean.float(), vectors[:, order].float(), deviation.float()


def _silence_branches(part: Any, latent: int) -> None:
    """Make residual branches give 0 at first and see all channels alike."""
    for name, module in part.named_modules():
        if name.endswith(('.conv2', '.to_out.0')):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
        elif name.endswith('.norm1'):
            module.weight.fill_(_norm_of(module))
            module.weight[latent : latent + _REFERENCES] /= _LEVEL


def _norm_of(norm: nn.GroupNorm) -> float:
    """Standard deviation of a trunk with references, over all channels."""
    return _LEVEL * (_REFERENCES / norm.num_channels) ** 0.5


def _point(conv: Any, matrix: Tensor, bias: Tensor) -> None:
    """Make a convolution compute a matrix per pixel; other outputs are 0."""
    rows, columns = matrix.shape
    middle = tuple(size // 2 for size in conv.kernel_size)
    nn.init.zeros_(conv.weight)
    nn.init.zeros_(conv.bias)
    conv.weight[(slice(rows), slice(columns), *middle)] = matrix
    conv.bias[:rows] = bias


def _add_references(conv: Any, first: int) -> None:
    """Hold channels at plus and minus one level, which sum to zero."""
    signs = torch.tensor([1.0, -1.0]).repeat(_REFERENCES // 2)
    conv.bias[first : first + _REFERENCES] = _LEVEL * signs


def _through_norm(
    norm: nn.GroupNorm, conv: Any, matrix: Tensor, bias: Tensor
) -> None:
    """Compute `matrix @ trunk + bias` through the norm, a SiLU and a conv."""
    norm.weight.fill_(_SHRINK * _norm_of(norm))
    norm.bias.fill_(_LIFT)
    lifted = F.silu(torch.tensor(_LIFT))
    slope = _SHRINK * (F.silu(torch.tensor(_LIFT + 1)) - lifted)
    matrix = matrix / slope
    _point(conv, matrix, bias - lifted * matrix.sum(1))
