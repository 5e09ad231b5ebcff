"""Restore a video, a folder of images or a folder of videos.

    python tools/restore.py SRC DST [options]

SRC is a video, an image, a folder of images (one clip) or a folder of
videos; then DST is a folder. A folder with both counts as one of videos.
Exit code: 0 all restored, 1 something was not, 2 wrong use.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import NoReturn

try:
    import torch

    from star.apis import (
        FileOptions,
        RestoreReport,
        init_model,
        restore_video,
    )
    from star.apis.inference.batch import Job, is_batch, plan_batch
    from star.apis.inference.build import is_random, load_config
    from star.apis.inference.devices import DTYPES
    from star.apis.inference.progress import ProgressBar
    from star.diffusion.samplers import SAMPLERS
    from star.models.editors import Baseline
    from star.models.editors.star.star_model import STARModel
    from star.models.restoration.options import RestoreOptions, check_options
    from star.video.color_fix import COLOR_FIXES
    from star.video.tiling import both_axes
except ModuleNotFoundError as error:
    sys.exit(
        f'error: {error.name} is not installed; run `pip install -e .` in '
        'the folder of the project'
    )

DTYPE_HELP = 'default: bfloat16 on CUDA, but float32 for baselines'
RANDOM_NOTE = 'the weights are random numbers: nothing was restored'
ADVICE = (
    'out of memory: smaller pieces need less; give --tile (such as 512) or a '
    'smaller --chunk'
)


class Parser(argparse.ArgumentParser):
    """Answers a wrong option with one line."""

    def error(self, message: str) -> NoReturn:
        print(f'error: {message}', file=sys.stderr)
        raise SystemExit(2)


def number(
    kind: type, least: float, most: float = math.inf, above: bool = False
) -> Callable[[str], float]:
    """Make a parser of numbers from `least` (or just `above` it) to `most`."""
    rule = f'must be {"a number" if kind is float else "a whole number"} '
    rule += f'{"above" if above else "of at least"} {least:g}'
    if most < math.inf:
        rule += f' and at most {most:g}'

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        low = value > least if above else value >= least
        if not (low and value <= most and math.isfinite(value)):
            raise argparse.ArgumentTypeError(f'{rule}, got {text!r}')
        return value

    return parse


def tile_size(text: str) -> int | tuple[int, int]:
    """Read a side, or a height and a width with an x between."""
    least = 1 if 'x' in text else 0
    try:
        sides = [int(side) for side in text.split('x')]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2) or min(sides) < least:
        raise argparse.ArgumentTypeError(
            f'must be a whole number, or two as in 480x720, got {text!r}'
        )
    return sides[0] if len(sides) == 1 else (sides[0], sides[1])


def parse_args() -> argparse.Namespace:
    parser = Parser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument('src', type=Path, metavar='SRC')
    parser.add_argument('dst', type=Path, metavar='DST')
    add_model_options(parser)
    add_restore_options(parser)
    add_file_options(parser)
    args = parser.parse_args()
    if args.steps is not None and args.mode == 'fast':
        parser.error('--steps needs --mode normal: fast has its own 14')
    return args


def add_model_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('model')
    add = group.add_argument
    add(
        '--config',
        help='file, or name of one in configs/star or configs/baselines; '
        'default: the shipped model',
    )
    add(
        '--weights',
        help='file, folder, one of the words the config knows (heavy, '
        'light), or random; default: those the config names',
    )
    add('--device', help='cuda, mps, cpu ...; default: a GPU if there is one')
    add('--dtype', choices=DTYPES, help=DTYPE_HELP)


def add_restore_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        'restoration (default: what the config sets)'
    )
    add = group.add_argument
    positive = number(float, 0, above=True)
    add('--scale', type=positive, help='output size over input size')
    add(
        '--mode',
        choices=['fast', 'normal'],
        help='14 fixed evaluations, or --steps',
    )
    add('--steps', type=number(int, 1), help='implies --mode normal')
    add('--sampler', choices=list(SAMPLERS))
    add(
        '--guidance-scale',
        type=number(float, 0),
        help='1: no guidance; with an exponent, 0',
    )
    add(
        '--guidance-exponent',
        type=number(int, 0),
        help='how guidance changes from step to step; 0: not at all',
    )
    add('--guidance-rescale', type=number(float, 0, 1))
    add(
        '--strength',
        type=number(float, 0, 1, above=True),
        help='noise added to the input; less stays closer to it',
    )
    add('--seed', type=number(int, 0, 2**32 - 1))
    add('--prompt', help='what the video shows')
    add('--negative-prompt', help='what to avoid')
    add('--chunk', type=number(int, 1), help='frames per window')
    add('--overlap', type=number(int, 0), help='frames shared by windows')
    add('--blend', choices=['smooth', 'cut'])
    add(
        '--tile',
        type=tile_size,
        metavar='N or HxW',
        help='side, or height and width, in output pixels; 0: no tiles',
    )
    add('--tile-overlap', type=number(int, 0), help='output pixels')
    add('--color-fix', choices=list(COLOR_FIXES))
    add('--upsample', choices=['bicubic', 'bilinear'])
    add('--compat', choices=['none', 'official'])


def add_file_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('files')
    add = group.add_argument
    add('--frames', type=number(int, 1), help='the first N only')
    add(
        '--codec',
        default='libx264',
        help="FFmpeg's name of the encoder; png: folders of images",
    )
    add(
        '--crf',
        type=number(float, 0, 63),
        default=17,
        help='less is better; default: 17',
    )
    add('--pix-fmt', help='default: yuv420p')
    add('--overwrite', action='store_true', help='replace DST')
    add(
        '--allow-partial',
        action='store_true',
        help='restore what decodes of a damaged file',
    )
    add('--json', action='store_true', help='print the report as JSON')


def main() -> int:
    args = parse_args()
    try:
        return restore(args)
    except KeyboardInterrupt:
        say('interrupted')
        return 130


def restore(args: argparse.Namespace) -> int:
    """Restore all clips and return the exit code."""
    try:
        jobs = plan(args)
        if is_random(load_config(args.config), args.weights):
            args.weights = 'random'
        model = init_model(args.config, args.weights, args.device, args.dtype)
        options = restore_options(args, model)
    except (ValueError, ImportError, OSError) as error:
        say(f'error: {error}')
        return 2
    results = [run(model, job, options, args) for job in jobs]
    if args.json:
        whole = results if is_batch(args.src) else results[0]
        print(json.dumps(whole, indent=2))
    failed = sum('error' in result for result in results)
    if len(jobs) > 1:
        say(f'{len(jobs) - failed} of {len(jobs)} clips restored')
    return 1 if failed else 0


def plan(args: argparse.Namespace) -> list[Job]:
    if not args.src.exists():
        raise ValueError(f'{args.src}: no such file or folder')
    if not is_batch(args.src):
        return [Job(args.src, args.dst)]
    jobs, skipped = plan_batch(args.src, args.dst, args.codec == 'png')
    if skipped:
        names = ', '.join(path.name for path in skipped)
        say(f'note: {args.src}: no videos, left alone: {names}')
    return jobs


def restore_options(
    args: argparse.Namespace, model: torch.nn.Module
) -> RestoreOptions:
    """Put the given options over the model's own, and check them."""
    names = {field.name for field in fields(RestoreOptions)}
    given = {
        name: value
        for name, value in vars(args).items()
        if name in names and value is not None
    }
    changes = dict(given)
    if 'steps' in given:
        changes['mode'] = 'normal'
    for size, overlap in (('chunk', 'overlap'), ('tile', 'tile_overlap')):
        if given.get(size) and overlap not in given:
            least = min(both_axes(given[size]))
            changes[overlap] = shared(model, overlap, least)
    options = replace(model.restore_options, **changes)
    if isinstance(model, Baseline):
        model.check_options(options, given)
    if isinstance(model, STARModel):
        model.check_options(options)
    check_options(options)
    return options


def shared(model: torch.nn.Module, name: str, size: int) -> int:
    """Choose an overlap that fits a size that was asked for."""
    if name == 'overlap' and isinstance(model, Baseline | STARModel):
        return model.overlap_for(size)
    return min(getattr(model.restore_options, name), size // 2)


def run(
    model: torch.nn.Module,
    job: Job,
    options: RestoreOptions,
    args: argparse.Namespace,
) -> dict:
    """Restore one clip; report what went wrong instead of raising it."""
    files = FileOptions(
        frames=args.frames,
        codec=args.codec,
        crf=args.crf,
        pix_fmt=args.pix_fmt,
        overwrite=args.overwrite,
        allow_partial=args.allow_partial,
    )
    try:
        with ProgressBar(job.src.name) as progress:
            report = restore_video(
                model, job.src, job.dst, options, files, progress
            )
    except (ValueError, OSError) as error:
        return fail(job, str(error))
    except MemoryError:
        return fail(job, f'{job.src}: {ADVICE}')
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        return fail(job, f'{job.src}: {ADVICE}')
    if args.weights == 'random':
        report = replace(report, notes=(*report.notes, RANDOM_NOTE))
    for note in report.notes:
        say(f'note: {job.src.name}: {note}')
    say(describe(report))
    return asdict(report)


def out_of_memory(error: RuntimeError) -> bool:
    known = isinstance(error, torch.OutOfMemoryError)
    return known or "can't allocate memory" in str(error)


def fail(job: Job, message: str) -> dict:
    say(f'error: {message}')
    return {'src': str(job.src), 'dst': str(job.dst), 'error': message}


def describe(report: RestoreReport) -> str:
    width, height = report.output_size
    return (
        f'{report.dst}: {width}x{height}, {report.frames} frames in '
        f'{report.seconds:.1f} s ({report.frames_per_second:.2f} frames/s), '
        f'peak memory {report.peak_memory / 2**30:.2f} GiB'
    )


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == '__main__':
    sys.exit(main())
