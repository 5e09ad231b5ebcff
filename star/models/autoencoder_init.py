"""Start a one-level TemporalVAE as the principal components of patches.

Training an autoencoder from nothing takes long. A network of one level whose
`patch_size` is its whole reduction can be set so that it computes the
principal component analysis of its patches exactly enough to start from
there: residual branches at zero, and the two places where the trunk meets a
normalisation and a SiLU kept in their linear range.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_REFERENCES = 16  # trunk channels held constant, so that norms scale alike
_LEVEL = 20.0  # of those channels, far above the components' deviation
_LIFT = 6.0  # SiLU(x + 6) is about x + 6 for x > -3
_SHRINK = 1 / 3


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
        ValueError: the network has more than one level or is too narrow.
    """
    width, latent = vae.config.block_out_channels[-1], vae.config.latent_channels
    if len(vae.config.block_out_channels) > 1 or latent + _REFERENCES > width:
        raise ValueError(
            '`autoencoder` must have one level of at least '
            f'{latent + _REFERENCES} channels to start from patches'
        )
    mean, basis, deviation = _components(frames, width - _REFERENCES)
    scale = deviation.rsqrt()
    scale /= (deviation * scale)[:latent].square().mean().sqrt()
    encoder, decoder = vae.encoder, vae.decoder
    for part in (encoder, decoder):
        _silence_branches(part, latent)
    analysis = (basis.T * scale[:, None])[:latent]
    _point(encoder.conv_in, analysis, -analysis @ mean)
    _add_references(encoder.conv_in, latent)
    _point(decoder.conv_in, torch.eye(latent), torch.zeros(latent))
    _add_references(decoder.conv_in, latent)
    moments = torch.cat([torch.eye(latent), torch.zeros(latent, latent)])
    offset = torch.cat([torch.zeros(latent), torch.full((latent,), -20.0)])
    moments = torch.cat([moments, torch.zeros(2 * latent, width - latent)], 1)
    _through_norm(encoder.conv_norm_out, encoder.conv_out, moments, offset)
    _point(vae.quant_conv, torch.eye(2 * latent), torch.zeros(2 * latent))
    synthesis = (basis / scale).split([latent, width - _REFERENCES - latent], 1)
    gap = torch.zeros(len(mean), _REFERENCES)
    synthesis = torch.cat([synthesis[0], gap, synthesis[1]], 1)
    _through_norm(decoder.conv_norm_out, decoder.conv_out, synthesis, mean)
    nn.init.zeros_(decoder.time_conv_out.weight)
    nn.init.zeros_(decoder.time_conv_out.bias)
    decoder.time_conv_out.weight[:, :, 1, 0, 0] = torch.eye(len(mean))


def _components(frames: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean (d,), basis (d, count) and deviations (count,)."""
    patches = frames.permute(0, 2, 3, 1).flatten(0, 2).double()
    mean = patches.mean(0)
    covariance = torch.cov((patches - mean).T)
    values, vectors = torch.linalg.eigh(covariance)
    order = values.argsort(descending=True)[:count]
    deviation = values[order].clamp_min(1e-8).sqrt()
    return mean.float(), vectors[:, order].float(), deviation.float()


def _silence_branches(part: nn.Module, latent: int) -> None:
    """Make residual branches give 0 at first and see all channels alike."""
    for name, module in part.named_modules():
        if name.endswith('.conv2'):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
        elif name.endswith('.norm1'):
            module.weight.fill_(_norm_of(module))
            module.weight[latent : latent + _REFERENCES] /= _LEVEL


def _norm_of(norm: nn.GroupNorm) -> float:
    """Standard deviation of a trunk with references, over all channels."""
    return _LEVEL * (_REFERENCES / norm.num_channels) ** 0.5


def _point(conv: nn.Conv2d, matrix: Tensor, bias: Tensor) -> None:
    """Make a convolution compute a matrix per pixel; other outputs are 0."""
    rows, columns = matrix.shape
    middle = conv.kernel_size[0] // 2
    nn.init.zeros_(conv.weight)
    nn.init.zeros_(conv.bias)
    conv.weight[:rows, :columns, middle, middle] = matrix
    conv.bias[:rows] = bias


def _add_references(conv: nn.Conv2d, first: int) -> None:
    """Hold channels at plus and minus one level, which sum to zero."""
    signs = torch.tensor([1.0, -1.0]).repeat(_REFERENCES // 2)
    conv.bias[first : first + _REFERENCES] = _LEVEL * signs


def _through_norm(
    norm: nn.GroupNorm, conv: nn.Conv2d, matrix: Tensor, bias: Tensor
) -> None:
    """Compute `matrix @ trunk + bias` through the norm, a SiLU and a conv."""
    norm.weight.fill_(_SHRINK * _norm_of(norm))
    norm.bias.fill_(_LIFT)
    lifted = F.silu(torch.tensor(_LIFT))
    slope = _SHRINK * (F.silu(torch.tensor(_LIFT + 1)) - lifted)
    matrix = matrix / slope
    _point(conv, matrix, bias - lifted * matrix.sum(1))
