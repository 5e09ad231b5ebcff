"""The memory of a window of SeedVR2, from the shapes of its largest parts."""

from collections.abc import Callable

import torch
from torch import Tensor

from star.models.editors.seedvr2.dit import SeedVR2DiT
from star.models.editors.seedvr2.geometry import MULTIPLE
from star.models.editors.seedvr2.tiles import plan_vae_tiles
from star.models.editors.seedvr2.vae import SeedVR2VAE
from star.models.restoration.options import RestoreOptions
from star.utils.shape_run import ShapeRun, without_content

_SLICES = 3  # latents after which the autoencoder needs no more
_BLOCKS = 2  # of the transformer, which need as much as all
_COPIES = 6  # of a window's pixels, in float32

Shape = tuple[int, int, int]


def window_bytes(
    backbone: SeedVR2DiT,
    autoencoder: SeedVR2VAE,
    options: RestoreOptions,
    clip: tuple[int | None, int, int],
    text_length: int,
) -> int:
    """Count what lives at once while a window is restored.

    On a GPU the window's pixels do not count, since they lie on the host.

    Args:
        backbone: the transformer, on its device.
        autoencoder: on its device.
        options: of the restoration.
        clip: frames (None if unknown), height and width of the input.
        text_length: tokens of the embedding.

    Returns:
        Bytes without the weights.
    """
    frames = options.window
    if clip[0] is not None:
        frames = min(clip[0], frames)
    unit = autoencoder.downsample
    height, width = (
        -(-round(side * options.scale) // MULTIPLE) * MULTIPLE // unit
        for side in clip[1:]
    )
    length = -(-(frames - 1) // autoencoder.temporal_downsample) + 1
    tiles, _ = plan_vae_tiles(
        (height, width), options.tile, options.tile_overlap, unit
    )
    rows, columns = tiles[0].weight.shape
    tile = min(length, _SLICES), rows, columns
    on_gpu = backbone.txt_in.weight.is_cuda
    peak = max(
        _peak_of_autoencoder(autoencoder, tile, on_gpu),
        _peak_of_backbone(
            backbone, (length, height, width), text_length, on_gpu
        ),
    )
    pixels = frames * 3 * height * width * unit**2
    return peak if on_gpu else peak + _COPIES * 4 * pixels


def _peak_of_autoencoder(
    autoencoder: SeedVR2VAE, shape: Shape, on_gpu: bool
) -> int:
    """Count both ways of one tile, whose size is in latents."""
    copy, (length, height, width) = without_content(autoencoder), shape
    unit, ratio = copy.downsample, copy.temporal_downsample
    frames = ratio * (length - 1) + 1
    channels = copy.latent_channels

    def both() -> None:
        size = 1, 3, frames, height * unit, width * unit
        copy.encode(torch.empty(size, device='meta'))
        z = torch.empty(1, channels, length, height, width, device='meta')
        for _ in copy.decode_pieces(z):
            pass

    return _count(both, on_gpu)


def _peak_of_backbone(
    backbone: SeedVR2DiT, shape: Shape, text_length: int, on_gpu: bool
) -> int:
    copy = without_content(backbone)
    copy.blocks = copy.blocks[:_BLOCKS]
    channels = 2 * copy.latent_channels + 1

    def call() -> Tensor:
        dtype = copy.txt_in.weight.dtype
        x, text = (
            torch.empty(size, dtype=dtype, device='meta')
            for size in (
                (1, channels, *shape),
                (1, text_length, copy.text_dim),
            )
        )
        return copy(x, torch.empty(1, device='meta'), text)

    return _count(call, on_gpu)


def _count(call: Callable[[], object], on_gpu: bool) -> int:
    run = ShapeRun(on_gpu)
    with run, torch.inference_mode():
        call()
    return run.peak
