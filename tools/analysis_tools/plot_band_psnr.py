"""Draw when a sampler restores low and high frequencies.

    python tools/analysis_tools/plot_band_psnr.py LQ... --gt GT... \
        --config tiny_compact --steps 8 --out FOLDER

LQ and GT are clips, videos or folders of frames, as many of each and in the
same order. Every evaluation of the sampler has an estimate of the clean clip;
each is decoded and compared with the ground truth, low and high frequencies
by themselves, split by the filter of the frequency loss (figure 4 of the
paper). --out gets the curves, `band_psnr.png`, their numbers,
`band_psnr.csv`, and for each clip `pictures_NAME.png`. Two more curves help to
judge the others: the enlarged input, and a clip without high frequencies. Exit
code: 0 done, 2 wrong use.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from star.apis import init_model
from star.apis.analysis.band_psnr import BandPSNR, band_psnr, split_clip
from star.apis.analysis.sampler_steps import restore_steps
from star.cli.common import Parser, execute
from star.diffusion.samplers import SAMPLERS
from star.models.data_preprocessor import to_float, to_uint8, upsample_clip
from star.models.editors.star.star_model import STARModel
from star.models.losses.dynamic_frequency_loss import DynamicFrequencyLoss
from star.models.restoration.choose import choose_options
from star.report.figures import (
    COLOURS,
    SHAPES,
    new_figure,
    save_figure,
    save_numbers,
)
from star.report.frames import most_detailed
from star.report.strips import draw_strips
from star.video.io import VideoReader

COLUMNS = ('clip', 'version', 'evaluation', 't')
COLUMNS += ('psnr_low', 'psnr_high', 'psnr')
INPUT, NO_DETAIL, ESTIMATE = 'enlarged input', 'no high band', 'estimate'
REFERENCES = {INPUT: '--', NO_DETAIL: ':'}
MOST = 6  # evaluations in a row of pictures
LEAST_SPAN = 1.0  # dB of an axis: hundredths shall not look like mountains


@dataclass(frozen=True)
class Row:
    """The numbers of one version of a clip."""

    clip: str
    version: str
    evaluation: int | None
    t: int | None
    psnr: BandPSNR


@dataclass(frozen=True)
class Filter:
    """The filter that splits frequencies."""

    kind: str
    cutoff: float


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add('lq', type=Path, nargs='+', metavar='LQ')
    add('--gt', type=Path, nargs='+', required=True)
    add('--out', type=Path, required=True, help='folder')
    add('--frames', type=int, default=8, help='the first N; default: 8')
    add('--filter', choices=('radial', 'gaussian'), default='radial')
    add('--cutoff', type=float, default=0.25, help='cycles per pixel')
    add('--crop', type=int, default=96, help='side of the pictures')
    group = parser.add_argument_group("model (default: the config's)")
    add = group.add_argument
    add('--config', help='default: the shipped model')
    add('--weights', help='as for star restore')
    add('--device', help='default: a GPU where there is one')
    add('--steps', type=int, help='of the sampler')
    add('--sampler', choices=list(SAMPLERS))
    add('--strength', type=float, help='of the noise')
    add('--seed', type=int)
    return parser.parse(arguments)


def main(arguments: list[str] | None = None) -> int:
    return execute(run, parse_args(arguments))


def run(args: argparse.Namespace) -> int:
    rows = make(args)
    print(f'{args.out / "band_psnr.png"}: {len(args.lq)} clips')
    for row in summary(rows):
        print(row)
    return 0


def make(args: argparse.Namespace) -> list[Row]:
    """Restore and compare every clip; write all files."""
    pairs = check(args)
    model: Any = init_model(args.config, args.weights, args.device)
    if not isinstance(model, STARModel):
        raise ValueError(f'--config {args.config} has no sampler to watch')
    names = ('steps', 'sampler', 'strength', 'seed')
    given = {n: v for n in names if (v := getattr(args, n)) is not None}
    options = choose_options(model, given)
    split, rows = Filter(args.filter, args.cutoff), []
    for name, (lq, gt) in pairs.items():
        bigger = enlarge(lq, gt, options.upsample)
        clips = {(INPUT, None, None): bigger}
        for i, found in enumerate(restore_steps(model, lq, options)):
            clips[ESTIMATE, i + 1, found.t] = check_size(found.clip, gt)
        rows += score(name, clips, gt, split)
        picture = strips(clips, gt, split, args.crop)
        save_figure(picture, args.out / f'pictures_{name}.png')
    write(rows, args.out)
    return rows


def check(
    args: argparse.Namespace,
) -> dict[str, tuple[Tensor, Tensor]]:
    """Read all pairs of clips; refuse wrong ones before the long work."""
    # knows the ranges of a filter
    DynamicFrequencyLoss(filter=args.filter, cutoff=args.cutoff)
    for name in ('frames', 'crop'):
        if getattr(args, name) < 1:
            raise ValueError(f'--{name} must be at least 1')
    if args.out.exists() and not args.out.is_dir():
        raise ValueError(f'--out must be a folder, got {args.out}')
    if len(args.lq) != len(args.gt):
        raise ValueError(
            f'--gt must name a clip for each of {len(args.lq)}, got '
            f'{len(args.gt)}'
        )
    pairs: dict[str, tuple[Tensor, Tensor]] = {}
    for low, high in zip(args.lq, args.gt, strict=True):
        if low.stem in pairs:
            raise ValueError(f'two clips are named {low.stem}')
        lq, gt = read(low, args.frames), read(high, args.frames)
        if len(lq) != len(gt):
            raise ValueError(
                f'{low} and {high} must have as many frames, got {len(lq)} '
                f'and {len(gt)}'
            )
        pairs[low.stem] = (lq, gt)
    return pairs


def read(path: Path, num_frames: int) -> Tensor:
    """Read a clip, (T, 3, H, W) uint8."""
    if not path.exists():
        raise ValueError(f'{path}: no such file or folder')
    with VideoReader(path, num_frames) as reader:
        frames = [torch.from_numpy(frame.image) for frame in reader]
    return torch.stack(frames).permute(0, 3, 1, 2).contiguous()


def enlarge(lq: Tensor, gt: Tensor, mode: str) -> Tensor:
    size = (gt.shape[-2], gt.shape[-1])
    return to_uint8(upsample_clip(to_float(lq), size, mode))


def check_size(clip: Tensor, gt: Tensor) -> Tensor:
    if clip.shape != gt.shape:
        raise ValueError(
            'the ground truth must have the size of the restored clip, '
            f'{clip.shape[-2]}x{clip.shape[-1]}, got '
            f'{gt.shape[-2]}x{gt.shape[-1]}'
        )
    return clip


def score(
    name: str, clips: dict[tuple, Tensor], gt: Tensor, split: Filter
) -> list[Row]:
    """Compare every version with the ground truth."""
    rows = [
        Row(name, *key, band_psnr(clip, gt, split.kind, split.cutoff))
        for key, clip in clips.items()
    ]
    # what is missing without a high band is that of the ground truth
    black = band_psnr(torch.zeros_like(gt), gt, split.kind, split.cutoff)
    without = BandPSNR(float('inf'), black.high, black.high)
    return [*rows, Row(name, NO_DETAIL, None, None, without)]


def strips(
    clips: dict[tuple, Tensor], gt: Tensor, split: Filter, side: int
) -> Any:
    """Show a crop of the middle frame: whole, low and high frequencies."""
    middle = len(gt) // 2
    frame = gt[middle].permute(1, 2, 0).contiguous().numpy()
    crop = most_detailed(Image.fromarray(frame), side)
    box = (
        ...,
        slice(crop.top, crop.top + crop.height),
        slice(crop.left, crop.left + crop.width),
    )
    shown = {name_of(*key): clip for key, clip in thin(clips).items()}
    shown['ground truth'] = gt
    rows: dict[str, list[np.ndarray]] = {'clip': [], 'low': [], 'high': []}
    for clip in shown.values():
        whole = clip[middle].float()
        low, high = split_clip(whole, split.kind, split.cutoff)
        # high frequencies lie around 0: shown around grey
        for row, x in zip(rows, (whole, low, high + 127.5), strict=True):
            rows[row].append(to_picture(x[box]))
    return draw_strips(list(shown), rows)


def thin(clips: dict[tuple, Tensor]) -> dict[tuple, Tensor]:
    """Keep the input and a few estimates, first and last among them."""
    first, *keys = clips
    places = np.linspace(0, len(keys) - 1, min(MOST, len(keys)))
    kept = [first, *(keys[round(place)] for place in places)]
    return {key: clips[key] for key in kept}


def name_of(version: str, evaluation: int | None, t: int | None) -> str:
    if evaluation is None:
        return version
    return f'{evaluation}: t = {t}'


def to_picture(x: Tensor) -> np.ndarray:
    return x.round().clamp(0, 255).byte().permute(1, 2, 0).numpy()


def write(rows: list[Row], folder: Path) -> None:
    numbers = [
        (*astuple(row)[:4], row.psnr.low, row.psnr.high, row.psnr.whole)
        for row in rows
    ]
    save_numbers(folder / 'band_psnr.csv', COLUMNS, numbers)
    save_figure(draw(rows), folder / 'band_psnr.png')


def draw(rows: list[Row]) -> Any:
    """Draw a panel for each band, a curve for each clip."""
    figure, panels = new_figure(2)
    names = list(dict.fromkeys(row.clip for row in rows))
    for panel, band in zip(panels, ('low', 'high'), strict=True):
        for i, name in enumerate(names):
            own = [row for row in rows if row.clip == name]
            draw_clip(panel, own, band, i)
        panel.set_xlabel('evaluation of the sampler')
        panel.set_ylabel(f'PSNR, {band} frequencies (dB)')
        panel.xaxis.get_major_locator().set_params(integer=True)
        widen(panel)
    for version, dashes in REFERENCES.items():
        panel.plot([], [], color='black', linestyle=dashes, label=version)
    handles, labels = panel.get_legend_handles_labels()
    place = 'outside lower center'
    figure.legend(handles, labels, loc=place, ncols=3, fontsize='small')
    return figure


def widen(panel: Any) -> None:
    """Widen the vertical axis to `LEAST_SPAN` or more."""
    low, high = panel.get_ylim()
    more = max(0.0, LEAST_SPAN - (high - low)) / 2
    panel.set_ylim(low - more, high + more)


def draw_clip(panel: Any, rows: Sequence[Row], band: str, i: int) -> None:
    colour = COLOURS[i % len(COLOURS)]
    found = [row for row in rows if row.version == ESTIMATE]
    panel.plot(
        [row.evaluation for row in found],
        [getattr(row.psnr, band) for row in found],
        color=colour,
        marker=SHAPES[i % len(SHAPES)],
        label=rows[0].clip,
    )
    for version, dashes in REFERENCES.items():
        value = getattr(next_of(rows, version).psnr, band)
        if np.isfinite(value):
            panel.axhline(value, color=colour, linestyle=dashes)


def next_of(rows: Sequence[Row], version: str) -> Row:
    return next(row for row in rows if row.version == version)


def summary(rows: Sequence[Row]) -> list[str]:
    """Average the clips, a line for each version."""
    groups: dict[tuple, list[BandPSNR]] = {}
    for row in rows:
        key = (row.version, row.evaluation, row.t)
        groups.setdefault(key, []).append(row.psnr)
    return [
        f'{name_of(*key):16s} low {mean(found, "low"):.2f} dB, high '
        f'{mean(found, "high"):.2f} dB, whole {mean(found, "whole"):.2f} dB'
        for key, found in groups.items()
    ]


def mean(found: Sequence[BandPSNR], name: str) -> float:
    return sum(getattr(psnr, name) for psnr in found) / len(found)


if __name__ == '__main__':
    sys.exit(main())
