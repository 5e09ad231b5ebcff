"""DOVE's official script: its chunks, its tiles and its padding."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from math import prod

import torch
from torch import Tensor
from torch.nn import functional as F

from star.models.autoencoders.cogvideox_vae import CogVideoXVAE
from star.models.editors.dove.geometry import (
    FRAMES,
    MULTIPLE,
    Span,
    cut_axis,
    kept_spans,
    round_trips,
    script_size,
)
from star.models.editors.dove.network import (
    POSTERIOR,
    Draw,
    OneStepTransformer,
)
from star.models.restoration.options import RestoreOptions
from star.models.restoration.segments import lengthen
from star.video.tiling import both_axes

_BLACK = -1.0
Networks = tuple[CogVideoXVAE, OneStepTransformer]


@dataclass(frozen=True)
class OfficialPlan:
    """The options of the script that decide how a clip is cut.

    Args:
        scale: `--upscale`.
        chunk: `--chunk_len` and `--overlap_t` in frames; 0 for whole clips.
        tile: `--tile_size_hw`, height and width in pixels; 0 for none.
        overlap: `--overlap_hw`.
    """

    scale: int = 4
    chunk: tuple[int, int] = (0, 8)
    tile: tuple[int, int] = (0, 0)
    overlap: tuple[int, int] = (32, 32)

    def axes(self, shape: tuple[int, ...]) -> list[list[Span]]:
        """Cut time, rows and columns.

        Args:
            shape: frames, height and width of the enlarged clip.

        Raises:
            ValueError: the script fails with such a clip.
        """
        sizes = self.chunk[0], *self.tile
        overlaps = self.chunk[1], *self.overlap
        return [
            cut_axis(*axis)
            for axis in zip(shape, sizes, overlaps, strict=True)
        ]

    def enlarge(self, clip: Tensor) -> Tensor:
        """Pad a clip in time and, in black, in space; then enlarge it.

        The sides are multiples of `MULTIPLE` before they are enlarged.

        Args:
            clip: (t, 3, h, w) in [-1, 1].

        Returns:
            (1, 3, T, H, W).
        """
        clip = lengthen(clip, FRAMES)
        bottom, right = (-side % MULTIPLE for side in clip.shape[-2:])
        clip = F.pad(clip, (0, right, 0, bottom), value=_BLACK)
        clip = F.interpolate(
            clip,
            scale_factor=self.scale,
            mode='bilinear',
            align_corners=False,
        )
        return clip.transpose(0, 1)[None]


def restore_official(
    clip: Tensor,
    plan: OfficialPlan,
    networks: Networks,
    draw: Draw,
    report: Callable[[float], None],
) -> Tensor:
    """Restore a whole clip as the script does.

    Args:
        clip: (t, 3, h, w) in [-1, 1].
        plan: options of the script.
        networks: the autoencoder and the transformer.
        draw: of noise.
        report: called with the share of the pieces that is done.

    Returns:
        (t, 3, H, W) in [-1, 1], the padding in space included.
    """
    x = plan.enlarge(clip)
    count = prod(map(len, plan.axes(tuple(x.shape[-3:]))))

    def restore(number: int, piece: Tensor) -> Tensor:
        out = restore_piece(piece, *networks, draw)
        report((number + 1) / count)
        return out

    out = restore_pieces(x, plan, restore)
    return out[0, :, : len(clip)].transpose(0, 1)


def restore_piece(
    x: Tensor,
    autoencoder: CogVideoXVAE,
    transformer: OneStepTransformer,
    draw: Draw,
) -> Tensor:
    """Restore a piece, with the windows and tiles of diffusers' autoencoder.

    Args:
        x: (1, 3, T, H, W) in [-1, 1].
        autoencoder: of the method.
        transformer: of the method.
        draw: of noise.

    Returns:
        (1, 3, t, H, W) in [-1, 1]; t is T for 8 k and 8 k + 1 frames.
    """
    vae, scaling = autoencoder.vae, autoencoder.scaling_factor
    posterior = vae.encode(x.to(vae.dtype)).latent_dist
    noise = draw(POSTERIOR, posterior.mean)
    z = (posterior.mean + posterior.std * noise) * scaling
    out = vae.decode(transformer(z, draw) / scaling).sample
    return out.to(x).clamp(-1, 1)


def draw_in_turn(seed: int) -> Draw:
    """Return what draws all noise of a clip from one generator."""
    generator = torch.Generator().manual_seed(seed)
    return lambda _, z: torch.randn(z.shape, generator=generator).to(z)


def truncate(x: Tensor) -> Tensor:
    """Round [-1, 1] down to 8 bits."""
    return ((x * 0.5 + 0.5).clamp(0, 1) * 255).floor() / 127.5 - 1


def restore_pieces(
    x: Tensor, plan: OfficialPlan, restore: Callable[[int, Tensor], Tensor]
) -> Tensor:
    """Restore the pieces of an enlarged clip and put them side by side.

    A piece of 8 k + 5 to 8 k + 7 frames comes back with more, and what the
    script takes of them is shifted in time.

    Args:
        x: (1, 3, T, H, W).
        plan: of the pieces.
        restore: restores a piece by its number: time first, then rows.

    Returns:
        Of the shape of `x`, on its device.

    Raises:
        ValueError: the script fails with such a clip.
    """
    out = torch.empty_like(x)
    pieces = _pieces(tuple(x.shape[-3:]), plan)
    for number, (source, target, inner) in enumerate(pieces):
        found = restore(number, x[_at(source)])
        kept = found[_at(inner)]
        if kept.shape != out[_at(target)].shape:
            raise ValueError(
                'the official script fails with this clip: a piece of '
                f'{source[0].stop - source[0].start} frames comes back with '
                f'{found.shape[2]}; take `chunk` lengths of 8 k frames'
            )
        out[_at(target)] = kept
    return out


def check_official(options: RestoreOptions, own: RestoreOptions) -> None:
    """Refuse options that the script cannot restore with.

    Args:
        options: of a restoration.
        own: of the config, whose windows mean nothing here.

    Raises:
        ValueError: naming the option and the rule.
    """
    cuts = *both_axes(options.tile), options.tile_overlap
    windows = options.window, options.overlap
    wrong = {
        '`scale` must be a whole number': options.scale % 1 != 0,
        f'`tile` and `tile_overlap` must be multiples of {MULTIPLE}': (
            bool(options.tile) and any(cut % MULTIPLE for cut in cuts)
        ),
        "`noise` must be 'per_frame'": options.noise != 'per_frame',
        '`window` must be left out: `chunk` of the config counts': (
            windows != (own.window, own.overlap)
        ),
    }
    for rule, broken in wrong.items():
        if broken:
            raise ValueError(f"{rule} with `compat` 'official' of DOVE")


def find_faults(
    clip: tuple[int, int, int], plan: OfficialPlan
) -> Iterator[str]:
    """Yield what the script does wrong with a clip, a sentence each.

    Args:
        clip: frames, height and width.
        plan: options of the script.
    """
    frames, height, width = clip
    padded = frames + (1 - frames) % FRAMES
    if not round_trips(cut_axis(padded, *plan.chunk)):
        yield (
            'the official pieces of this clip are shifted in time: take '
            '`chunk` lengths of 8 k frames'
        )
    exact = plan.scale * height, plan.scale * width
    if script_size((height, width), plan.scale) != exact:
        yield (
            'the official script cuts off more than its padding at this '
            'scale; here the result has its right size'
        )


def _at(place: tuple[slice, ...]) -> tuple[slice, ...]:
    """Return the index of a place in a clip (N, C, T, H, W)."""
    return (slice(None), slice(None), *place)


def _pieces(
    shape: tuple[int, ...], plan: OfficialPlan
) -> Iterator[tuple[tuple[slice, ...], ...]]:
    """Yield where each piece is read and written, and what of it is kept."""
    spans = plan.axes(shape)
    overlaps = plan.chunk[1], *plan.overlap
    axes = [
        list(zip(axis, kept_spans(axis, shared), strict=True))
        for axis, shared in zip(spans, overlaps, strict=True)
    ]
    for piece in product(*axes):
        yield (
            tuple(slice(*source) for source, _ in piece),
            tuple(slice(*kept) for _, kept in piece),
            tuple(
                slice(kept[0] - source[0], kept[1] - source[0])
                for source, kept in piece
            ),
        )
