"""Options of `star restore`."""

import argparse
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from star.cli.common import Parser, number, sizes
from star.cli.options import choices
from star.cli.options.memory import memory_size
from star.cli.options.ray import add_ray_options
from star.cli.options.savings import add_saving_options, interval
from star.cli.options.train import add_process_options


def restore(parser: Parser) -> None:
    """Restore a video, a picture, or all of a folder.

        star restore SRC DST [options]

    SRC is a video, a picture, or a folder of them. If DST ends in / or is a
    folder, results go there and keep their names; otherwise DST is the
    result. Images of a folder are one clip if their names count, they have
    one size and name no camera; others are restored one by one.
    Exit code: 0 all restored, 1 some clips failed, 2 wrong use, 3 stopped
    by --until: the same command goes on; 130 interrupted.
    """
    parser.add_argument('src', type=source, metavar='SRC')
    parser.add_argument('dst', type=target, metavar='DST')
    add_model_options(parser)
    add_saving_options(parser)
    add_sampling_options(parser)
    add_size_options(parser)
    add_file_options(parser)
    _add_trust_options(parser)
    add_process_options(parser)
    add_ray_options(parser)


def add_model_options(parser: Parser) -> None:
    """Add the options of the model, its device and dtype."""
    add = parser.add_argument_group('model').add_argument
    add(
        '--config',
        help='file or name of a config, such as i2vgen or bicubic; '
        'hf://OWNER/NAME or the folder of a published model; default: the '
        'model that ships with the package',
    )
    add(
        '--weights',
        help='file, folder, a word that the config knows (heavy, light), or '
        'random; default: the weights that the config names',
    )
    add('--device', help='cuda, mps, cpu ...; default: a GPU if there is one')
    add_dtype(add)


def add_sampling_options(parser: Parser) -> None:
    """Add the options of the restoration."""
    group = parser.add_argument_group('restoration; defaults: the config')
    add = group.add_argument
    positive = number(float, 0, above=True)
    add('--scale', type=positive, help='output size over input size')
    add(
        '--mode',
        choices=choices.MODES,
        help='fast: 14 fixed evaluations; normal: --steps evaluations',
    )
    add('--steps', type=number(int, 1), help='implies --mode normal')
    add('--sampler', choices=choices.SAMPLERS)
    add(
        '--guidance-scale',
        type=number(float, 0),
        help='1: no guidance; with an exponent: 0',
    )
    add(
        '--guidance-exponent',
        type=number(int, 0),
        help='how guidance changes from step to step; 0: not at all',
    )
    add('--guidance-rescale', type=number(float, 0, 1))
    add(
        '--guidance-interval',
        type=interval,
        metavar='FROM-TO',
        help='shares of the steps between which there is guidance, such as '
        '0.1-0.8; the others take half the time',
    )
    add(
        '--cache',
        type=number(float, 0, 1),
        help='take deep features of an earlier step where the first ones '
        'have changed by less than this share; for --sampler ddim, which adds '
        'no noise; 0: never',
    )
    add(
        '--strength',
        type=number(float, 0, 1, above=True),
        help='noise added to the input; less stays closer to the input',
    )
    add('--seed', type=number(int, 0, 2**32 - 1))
    add('--prompt', help='what the video shows')
    add(
        '--prompt-file',
        type=Path,
        metavar='FILE|FOLDER',
        help='read the prompt from a text file; from a folder, NAME.txt for '
        'each clip NAME',
    )
    add('--prompt-suffix', help='words added to the prompt')
    add('--negative-prompt', help='what to avoid')
    add('--color-fix', choices=choices.COLOR_FIXES)
    add_fidelity(add)
    add('--upsample', choices=choices.UPSAMPLINGS)
    add(
        '--noise',
        choices=choices.NOISES,
        help='of methods that restore frames by themselves; shared: the same '
        'in every frame, which flickers less',
    )
    add('--compat', choices=choices.COMPATS)


def add_dtype(add: Callable[..., object]) -> None:
    """Add the option for the type of the networks' weights.

    Args:
        add: `add_argument` of a parser or a group.
    """
    add(
        '--dtype',
        choices=choices.DTYPES,
        help='default for diffusion models: bfloat16 on CUDA, and on CPUs '
        'that compute it for the default model and large ones; otherwise '
        'float32',
    )


def add_fidelity(add: Callable[..., object]) -> None:
    """Add the option that every method has.

    Args:
        add: `add_argument` of a parser or a group.
    """
    add(
        '--fidelity',
        type=number(float, 0, 1),
        metavar='0..1',
        help='take back low frequencies and edges of the input: 1 is truest '
        "to it, 0 is the method's own result; default: 0",
    )


def add_size_options(parser: Parser) -> None:
    """Add the options of windows, tiles and memory."""
    group = parser.add_argument_group('windows and tiles')
    add = group.add_argument
    add(
        '--window',
        '--chunk',
        type=number(int, 1),
        help='frames that the model sees at once',
    )
    add(
        '--overlap',
        type=number(int, 0),
        help='frames that neighbouring windows share',
    )
    add('--blend', choices=choices.BLENDS, help='how windows are joined')
    add(
        '--tile',
        type=tile_size,
        metavar='N or HxW',
        help='side, or height and width, in output pixels; 0: no tiles',
    )
    add(
        '--tile-overlap',
        type=number(int, 0),
        help='output pixels that neighbouring tiles share',
    )
    add(
        '--memory',
        dest='memory_limit',
        type=memory_size,
        metavar='SIZE',
        help='most memory that may be taken, such as 6GB or 500MiB, for which '
        'windows and tiles are chosen unless they are given; default: what '
        'is free',
    )


def add_file_options(parser: Parser) -> None:
    """Add the options of reading and writing."""
    add = parser.add_argument_group('files').add_argument
    add('--frames', type=number(int, 1), help='the first N only')
    add(
        '--cuts',
        default='auto',
        metavar='auto|none|FILE',
        help='where scenes begin, which are restored apart: found, nowhere, '
        'or a frame number or time in each line of a file; default: auto',
    )
    add(
        '--codec',
        help="FFmpeg's name of the encoder; png: folders of images; default: "
        'H.264, HEVC for deep or HDR sources, or what DST can hold',
    )
    add(
        '--crf',
        type=number(float, 0, 63),
        default=17,
        help='less is better; default: 17',
    )
    add(
        '--pix-fmt',
        default='auto',
        help="FFmpeg's name of the pixel format; default: auto, which keeps "
        'depth, HDR and opacity where the encoder can, with 4:2:0',
    )
    add('--overwrite', action='store_true', help='replace DST')
    add(
        '--as-clip',
        action=argparse.BooleanOptionalAction,
        help="a folder's images are one clip, or are not; default: as above",
    )
    add(
        '--recursive',
        action=argparse.BooleanOptionalAction,
        default=True,
        help='restore the folders below SRC as well; default: yes',
    )
    add(
        '--allow-partial',
        action='store_true',
        help='restore the frames of a damaged file that can be decoded',
    )
    add(
        '--strict-streams',
        action='store_true',
        help='refuse a result that cannot hold all sound, subtitles, other '
        'streams, chapters and metadata',
    )
    add(
        '--until',
        type=next_time,
        metavar='HH:MM',
        help='stop at this time, once a segment is done, with exit code 3; '
        'the same command goes on later',
    )
    add('--json', action='store_true', help='print the report as JSON')


def _add_trust_options(parser: Parser) -> None:
    add = parser.add_argument_group('preview and report').add_argument
    add(
        '--progress',
        choices=choices.PROGRESS,
        default='bar',
        help='json: an object in each line of standard error; default: bar',
    )
    add(
        '--preview',
        type=places,
        metavar='NxSs',
        help='restore N places of S seconds first, such as 3x2s, beside the '
        'input in DST.preview.mp4, and ask whether to go on',
    )
    add('--yes', action='store_true', help='go on after --preview')
    add(
        '--report',
        action='store_true',
        help='draw the record DST.star.json as a page, DST.star.html',
    )
    add(
        '--no-mark',
        dest='mark',
        action='store_false',
        help='do not name program and method in the metadata of DST',
    )


def places(text: str) -> tuple[int, float]:
    """Read a number of places, and the seconds of each."""
    count, _, rest = text.lower().partition('x')
    try:
        seconds = number(float, 0, above=True)(rest.removesuffix('s'))
        return int(number(int, 1)(count)), seconds
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            'must be a number of places and the seconds of each, as in 3x2s, '
            f'got {text!r}'
        ) from None


def next_time(text: str) -> datetime:
    """Read a time of the day: when it is that time next."""
    match = re.fullmatch('([0-9]{1,2}):([0-9]{2})', text)
    hour, minute = map(int, match.groups()) if match else (24, 0)
    if hour > 23 or minute > 59:
        raise argparse.ArgumentTypeError(
            f'must be a time such as 06:00, got {text!r}'
        )
    now = datetime.now()
    time = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return time if time > now else time + timedelta(days=1)


def source(text: str) -> Path:
    """Read the path of an input; there are no pipes."""
    return Path(target(text))


def target(text: str) -> str:
    """Read the path of a result, which keeps a `/` at its end."""
    if text == '-':
        raise argparse.ArgumentTypeError(
            'pipes are not supported; a file called - is ./-'
        )
    if not text:
        raise argparse.ArgumentTypeError('the path is empty')
    return text


def tile_size(text: str) -> int | tuple[int, ...]:
    """Read a side, or a height and a width with an x between."""
    if 'x' in text:
        return sizes('HxW')(text)
    try:
        return int(number(int, 0)(text))
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f'must be a whole number, or two as in 480x720, got {text!r}'
        ) from None
