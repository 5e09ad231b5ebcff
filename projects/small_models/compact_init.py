"""Set a CompactDenoiser so that it restores as an image network does."""

import torch
import torch.nn.functional as F
from torch import Tensor

from star.models.autoencoders.patch_dct import PatchDCT, dct_basis, dct_gains
from star.models.backbones.compact.denoiser import CompactDenoiser

_SIDE = 48  # of the random picture, low-quality pixels
_CUT = 1e-6  # singular values below this share of the largest are noise


@torch.no_grad()
def start_from_image_network(
    backbone: CompactDenoiser,
    autoencoder: PatchDCT,
    state: dict[str, Tensor],
) -> None:
    """Make a denoiser restore as a SRVGGNetCompact does, frame by frame.

    Everything between the network and the latents is linear, so the result is
    the network's own up to rounding: the first layer reads pixels off the
    latents of a clip enlarged bicubically, and the last convolution writes
    latents. The layers that see other frames, noise and the timestep have no
    effect yet.

    Args:
        backbone: gets the weights; its `residual_std` must be small beside
            the noise.
        autoencoder: whose patches are as large as the network's scale.
        state: of a SRVGGNetCompact of the same `dim` and `num_conv`.

    Raises:
        ValueError: the network has another width, length or scale.
    """
    row = {name.removeprefix('body.'): w.float() for name, w in state.items()}
    patch = autoencoder.downsample
    _check_network(backbone, row, patch)
    analysis = dct_gains(patch)[:, None] * dct_basis(patch)
    to_latent = torch.kron(torch.eye(3), 2 * analysis)  # pixels in [0, 1]
    for name in list(backbone.body.state_dict())[-2:]:  # last convolution
        row[name] = torch.tensordot(to_latent, row[name], 1)
    backbone.body.load_state_dict(row)
    _set_skip(backbone, to_latent, analysis)
    _set_pixels(backbone, autoencoder)


def _check_network(
    backbone: CompactDenoiser, row: dict[str, Tensor], patch: int
) -> None:
    own = backbone.body.state_dict()
    fits = {k: v.shape for k, v in own.items()} == {
        k: v.shape for k, v in row.items()
    }
    if not fits or backbone.in_dim != 3 * patch**2:
        raise ValueError(
            'the image network must be a SRVGGNetCompact of '
            f'{backbone.dim} channels, {backbone.num_conv} inner '
            f'convolutions and scale {patch}'
        )


def _set_skip(
    backbone: CompactDenoiser, to_latent: Tensor, analysis: Tensor
) -> None:
    """Add the nearest enlargement and take the low-quality latent away."""
    channels = len(to_latent)
    nearest = to_latent.view(channels, 3, -1).sum(2)
    weight = torch.cat([nearest, -torch.eye(channels)], 1)
    backbone.skip.weight.copy_(weight[..., None, None])
    assert backbone.skip.bias is not None
    backbone.skip.bias.copy_(-analysis.sum(1).repeat(3))


def _set_pixels(backbone: CompactDenoiser, autoencoder: PatchDCT) -> None:
    """Read low-quality pixels in [0, 1] off latents of their enlargement.

    Each patch of a bicubic enlargement is a linear map of the 5x5 pixels
    around it, so 3x3 patches determine the middle pixel. Of all maps that
    give it, the one with the smallest weights is taken.
    """
    draw = torch.Generator().manual_seed(0)
    picture = torch.rand(1, 1, _SIDE, _SIDE, generator=draw) - 0.5
    size = (_SIDE * autoencoder.downsample,) * 2
    large = F.interpolate(
        picture, size=size, mode='bicubic', align_corners=False
    )
    z = autoencoder.encode(large.expand(1, 3, *size)[:, :, None])
    patches = F.unfold(z[:, : z.shape[1] // 3, 0], 3)[0].T.double()
    pixels = picture[0, 0, 1:-1, 1:-1].flatten().double()
    inner = torch.ones(_SIDE - 2, _SIDE - 2, dtype=torch.bool)
    inner[:2], inner[-2:], inner[:, :2], inner[:, -2:] = (False,) * 4
    used = inner.flatten()
    inverse = torch.linalg.pinv(patches[used], rtol=_CUT)
    kernel = (inverse @ pixels[used]).float().view(-1, 3, 3) / 2
    backbone.pixels.weight.zero_()
    for color, rows in enumerate(backbone.pixels.weight):
        rows.unflatten(0, (3, -1))[color] = kernel
    assert backbone.pixels.bias is not None
    backbone.pixels.bias.fill_(0.5)
