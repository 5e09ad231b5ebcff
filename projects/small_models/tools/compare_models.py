"""Score models side by side on clips that are degraded on the spot.

    python projects/small_models/tools/compare_models.py CLIPS... \
        --models star_tiny_compact bicubic realesr_general_x4v3 \
        --weights realesr_general_x4v3=realesr-general-x4v3.pth \
        --lpips-weights lpips_squeeze.safetensors \
        --raft-weights raft-small.pth --seeds 0 1 2

CLIPS are videos, folders of images, or folders of those. Each is read as
ground truth, cropped at its centre and degraded once for each seed; all
models restore the same low-quality clip. The draws depend on the seed and the
clip's name alone. Tables go to the standard output, progress to the standard
error stream.

A model is `star_tiny`, `star_tiny_compact`, a config of configs/baselines by
its name, or any name that --config gives a file. --steps is for diffusion
models; several values give several rows, `star_tiny-4` and so on. Exit code:
0 done, 2 wrong use.
"""

import argparse
import json
import sys
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from star.apis import init_model
from star.apis.inference.batch import is_batch, plan_batch
from star.apis.inference.build import load_config
from star.apis.inference.devices import find_device
from star.evaluation import VideoMetric
from star.models.restoration.options import RestoreOptions
from star.registry import METRICS, TRANSFORMS
from star.report.markdown import markdown_table
from star.report.tables import Item, Table
from star.utils.paths import config_path, config_root
from star.video.io import VideoReader, VideoWriter

Degrade = Callable[[dict], dict]
SCALE = 4
KNOWN = {
    'star_tiny': 'star/tiny.py',
    'star_tiny_compact': 'star/tiny_compact.py',
}
# title and number format of each metric
COLUMNS = {
    'psnr': 'PSNR|.2f',
    'ssim': 'SSIM|.4f',
    'lpips': 'LPIPS|.4f',
    'ewarp': 'Ewarp x1000|.2f',
}


@dataclass(frozen=True)
class Entry:
    """A row of the table: a model with the options it restores with."""

    label: str
    model: Any
    options: RestoreOptions


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add('clips', type=Path, nargs='+', metavar='CLIPS')
    add('--models', nargs='+', default=['star_tiny_compact', 'bicubic'])
    add('--config', nargs='+', default=[], metavar='NAME=FILE')
    add('--weights', nargs='+', default=[], metavar='NAME=FILE')
    add('--steps', type=positive, nargs='+', help="default: the model's own")
    add('--preset', default='star', help='of the degradation')
    add('--seeds', type=int, nargs='+', default=[0])
    add('--frames', type=positive, default=16, help='the first N of each clip')
    add('--size', type=size, default=(288, 384), help='default: 288x384')
    add('--crop', choices=('center', 'none'), default='center')
    add('--device', help='default: a GPU where there is one')
    add_metric_options(parser)
    add = parser.add_argument_group('results').add_argument
    add('--json', type=Path, help='write all numbers here')
    add('--table', action='store_true', help='print each clip as well')
    add('--save', type=Path, help='folder for clips, as PNG and mp4')
    return parser.parse_args(arguments)


def add_metric_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group('metrics').add_argument
    add('--metrics', nargs='+', choices=list(COLUMNS), default=list(COLUMNS))
    add('--lpips-weights', help='see convert_lpips.py; default: download')
    add('--lpips-net', choices=('alex', 'vgg', 'squeeze'), default='squeeze')
    add('--lpips-every', type=positive, default=1, help='only each Nth frame')
    add('--raft-weights', help='default: download')
    add('--raft', choices=('small', 'large'), default='small')
    add('--ewarp-preset', default='evalcrafter')


def main(arguments: list[str] | None = None) -> int:
    args = parse_args(arguments)
    try:
        if args.json and not args.json.absolute().parent.is_dir():
            raise ValueError(f'--json: no folder {args.json.parent}')
        report = compare(args)
    except (ValueError, ImportError, OSError) as error:
        say(f'error: {error}')
        return 2
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + '\n')
    return 0


def compare(args: argparse.Namespace) -> dict:
    """Score everything, print the tables and return all numbers."""
    paths = find_clips(args.clips)
    metrics = build_metrics(args)
    kind = 'RealESRGANVideoDegradation'
    degrade = TRANSFORMS.build(
        {'type': kind, 'preset': args.preset, 'scale': SCALE}
    )
    entries = build_entries(args)
    rows: list[dict] = []
    for path in paths:
        whole = args.crop == 'none'
        gt = read_clip(path, args.frames, None if whole else args.size)
        rows += score_gt(path, gt, metrics)
        for seed in args.seeds:
            lq, record = degrade_clip(degrade, gt, path.stem, seed)
            place = f'{path.stem}/seed{seed}'
            save(args.save, place, 'lq', lq, record)
            for entry in entries:
                row = measure(entry, metrics, lq, gt)
                save(args.save, place, entry.label, row.pop('x'))
                rows.append({'clip': path.stem, 'seed': seed, **row})
                say(f'{path.stem} seed {seed}: {one_line(row, args.metrics)}')
        save(args.save, path.stem, 'gt', gt)
    for path in paths if args.table else ():
        found = [row for row in rows if row['clip'] == path.stem]
        show(path.stem, found, args.metrics)
    title = f'mean of {len(paths)} clips, {len(args.seeds)} seeds'
    show(title, rows, args.metrics)
    means = summary(rows, args.metrics)
    return {'settings': settings(args), 'means': means, 'rows': rows}


def size(text: str) -> tuple[int, int]:
    """Read HEIGHTxWIDTH."""
    height, width = (int(side) for side in text.split('x'))
    if min(height, width) < SCALE or height % SCALE or width % SCALE:
        raise ValueError
    return height, width


def positive(text: str) -> int:
    """Read a number of at least 1."""
    if int(text) < 1:
        raise ValueError
    return int(text)


def find_clips(sources: list[Path]) -> list[Path]:
    """List videos and folders of images, in order; say what is left out."""
    found: list[Path] = []
    for source in sources:
        if not source.exists():
            raise ValueError(f'{source}: no such file or folder')
        if not is_batch(source):
            found.append(source)
            continue
        jobs, others = plan_batch(source, source / 'none')
        found += [job.src for job in jobs]
        for path in others:
            say(f'note: {path}: no clip, left out')
    if not found:
        raise ValueError(f'{", ".join(map(str, sources))}: no clips in there')
    names = [path.stem for path in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f'clips must differ in name: {", ".join(twice)}')
    return found


def read_clip(
    path: Path, num_frames: int, size: tuple[int, int] | None
) -> Tensor:
    """Read ground truth, (T, 3, H, W) uint8 with sides divisible by 4."""
    with VideoReader(path, num_frames) as reader:
        whole = torch.stack([torch.from_numpy(f.image) for f in reader])
    clip = whole.permute(0, 3, 1, 2)
    wanted = clip.shape[-2:] if size is None else size
    height, width = (
        min(have, want) // SCALE * SCALE
        for have, want in zip(clip.shape[-2:], wanted, strict=True)
    )
    if size is not None and (height, width) != size:
        say(f'note: {path.name}: only {height}x{width} of it')
    if len(clip) < num_frames:
        say(f'note: {path.name}: only {len(clip)} frames')
    top, left = (clip.shape[-2] - height) // 2, (clip.shape[-1] - width) // 2
    return clip[..., top : top + height, left : left + width].contiguous()


def degrade_clip(
    degrade: Degrade, gt: Tensor, name: str, seed: int
) -> tuple[Tensor, dict]:
    """Make the low-quality clip; its draws depend on seed and name."""
    rng = np.random.default_rng((seed, zlib.crc32(name.encode())))
    pixels = gt.permute(0, 2, 3, 1).contiguous().numpy()
    results = degrade({'gt': pixels, 'rng': rng})
    lq = torch.from_numpy(np.ascontiguousarray(results['lq']))
    return lq.permute(0, 3, 1, 2).contiguous(), results['record']


def build_metrics(args: argparse.Namespace) -> dict[str, VideoMetric]:
    device = str(find_device(args.device))
    configs = {
        'psnr': {'type': 'PSNR'},
        'ssim': {'type': 'SSIM'},
        'lpips': {
            'type': 'LPIPS',
            'net': args.lpips_net,
            'weights': args.lpips_weights,
            'every': args.lpips_every,
            'device': device,
        },
        'ewarp': {
            'type': 'EWarp',
            'preset': args.ewarp_preset,
            'network': args.raft,
            'weights': args.raft_weights,
            'device': device,
        },
    }
    return {name: METRICS.build(configs[name]) for name in args.metrics}


def build_entries(args: argparse.Namespace) -> list[Entry]:
    """Build every model once; diffusion models give a row for each --steps."""
    configs, weights = pairs(args, 'config'), pairs(args, 'weights')
    entries = []
    for name in args.models:
        settings = load_config(find_config(name, configs))
        source = weights.get(name)
        model: Any = init_model(settings.filename, source, args.device)
        options = model.restore_options
        if settings.model.type != 'STARModel' or not args.steps:
            entries.append(Entry(name, model, options))
            continue
        for steps in args.steps:
            chosen = replace(options, mode='normal', steps=steps)
            entries.append(Entry(f'{name}-{steps}', model, chosen))
    return entries


def pairs(args: argparse.Namespace, option: str) -> dict[str, str]:
    """Read NAME=FILE of an option; every name must be a model's."""
    found = {}
    for text in getattr(args, option):
        name, equal, path = text.partition('=')
        if not equal or name not in args.models:
            raise ValueError(
                f'--{option} must be NAME=FILE with a NAME of --models, got '
                f'{text!r}'
            )
        found[name] = path
    return found


def find_config(name: str, configs: dict[str, str]) -> str:
    if name in configs:
        return configs[name]
    if name in KNOWN:
        return str(config_path(KNOWN[name]))
    known = {p.stem: p for p in (config_root() / 'baselines').glob('*.py')}
    if name not in known:
        names = ', '.join([*KNOWN, *sorted(known)])
        raise ValueError(
            f'--models must be of {names}, or named by --config, got {name!r}'
        )
    return str(known[name])


def measure(
    entry: Entry, metrics: dict[str, VideoMetric], lq: Tensor, gt: Tensor
) -> dict:
    """Restore and score one clip; its frames are under 'x'."""
    start = time.perf_counter()
    pred = entry.model.restore(lq, entry.options)
    seconds = time.perf_counter() - start
    row = {'model': entry.label, 'seconds_per_frame': seconds / len(lq)}
    scores = {name: m.measure(pred, gt).score for name, m in metrics.items()}
    return {**row, **scores, 'x': pred}


def score_gt(
    path: Path, gt: Tensor, metrics: dict[str, VideoMetric]
) -> list[dict]:
    """Score what needs no ground truth on the ground truth itself."""
    row = {'clip': path.stem, 'seed': None, 'model': 'ground truth'}
    free = {n: m for n, m in metrics.items() if not m.needs_gt}
    scores = {name: m.measure(gt).score for name, m in free.items()}
    return [row | scores] if scores else []


def summary(rows: list[dict], names: list[str]) -> dict[str, dict]:
    """Average each model's rows, and relate its LPIPS to bicubic's."""
    means: dict[str, dict] = {}
    for model in dict.fromkeys(row['model'] for row in rows):
        own = [row for row in rows if row['model'] == model]
        for name in (*names, 'seconds_per_frame'):
            found = [row[name] for row in own if name in row]
            mean = sum(found) / len(found) if found else None
            means.setdefault(model, {})[name] = mean
    base = means.get('bicubic', {}).get('lpips')
    for row in means.values():
        value = row.get('lpips')
        if base and value is not None:
            row['lpips_to_bicubic'] = value / base - 1
    return means


def show(title: str, rows: list[dict], names: list[str]) -> None:
    columns = {name: COLUMNS[name] for name in names}
    columns['lpips_to_bicubic'] = 'LPIPS to bicubic|+.1%'
    columns['seconds_per_frame'] = 's/frame|.2f'
    pairs = {key: text.split('|') for key, text in columns.items()}
    head = ['model', *(text for text, _ in pairs.values())]
    lines = [
        [
            Item(model),
            *(cell(row.get(key), f) for key, (_, f) in pairs.items()),
        ]
        for model, row in summary(rows, names).items()
    ]
    table = markdown_table(Table(title, head, lines))
    print(f'\n{title}\n\n{table}', flush=True)


def cell(value: float | None, form: str) -> Item:
    return Item('' if value is None else format(value, form))


def one_line(row: dict, names: list[str]) -> str:
    titles = {name: COLUMNS[name].split('|') for name in names}
    numbers = [f'{t} {row[name]:{f}}' for name, (t, f) in titles.items()]
    return f'{row["model"]}: {", ".join(numbers)}'


def settings(args: argparse.Namespace) -> dict:
    return {
        key: [str(v) for v in value] if key == 'clips' else value
        for key, value in vars(args).items()
        if key not in ('json', 'save', 'table')
    }


def save(
    folder: Path | None,
    clip: str,
    name: str,
    frames: Tensor,
    record: dict | None = None,
) -> None:
    """Write a clip as PNGs and as mp4, and what made it as JSON."""
    if folder is None:
        return
    place = folder / clip
    place.mkdir(parents=True, exist_ok=True)
    images = frames.permute(0, 2, 3, 1).contiguous().numpy()
    for path in (place / name, place / f'{name}.mp4'):
        height, width = frames.shape[-2:]
        with VideoWriter(path, width, height, overwrite=True) as writer:
            for index, image in enumerate(images):
                writer.write(image, Fraction(index, 25), Fraction(1, 25))
    if record is not None:
        text = json.dumps(record, indent=1)
        (place / f'{name}.json').write_text(text + '\n')


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == '__main__':
    sys.exit(main())
