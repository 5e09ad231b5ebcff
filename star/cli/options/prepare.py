"""Options of `star prepare`."""

import argparse
import os
from pathlib import Path

from star.cli.common import Parser, number, sizes
from star.cli.options import choices
from star.cli.options.ray import add_ray_options
from star.cli.options.train import add_config_options


def openvid(parser: Parser) -> None:
    """List the videos of OpenVid-1M that can be read.

    Writes a table with the sizes of the readable videos, for the data set
    `OpenVid`. After an interruption the same command continues; after more
    videos have been added, only the new ones are read.
    Exit code: 0 done, 1 no video can be read, 2 wrong use, 130 interrupted.
    """
    parser.set_defaults(resumable=True)
    add = parser.add_argument
    add('csv', type=Path, help="OpenVid-1M's own table")
    add('videos', type=Path, help='folder of the videos')
    add('dst', type=Path, help='table of the readable videos (.csv)')
    add(
        '--workers',
        type=number(int, 1),
        default=os.cpu_count(),
        help='processes; default: one for each CPU',
    )
    add(
        '--full',
        action='store_true',
        help='decode every frame, not only the first 300 of each video',
    )
    add_ray_options(parser)


def test_sets(parser: Parser) -> None:
    """Prepare test sets for the data set `VideoFolder`.

        star prepare test-sets SET SRC DST
        star prepare test-sets verify DST

    DST gets the clips (gt/, lq/), the degradation of each clip (records/)
    and set.json with counts, sizes and hashes. The low-quality clips of
    synthetic sets are made once; the degradation of a clip depends on the
    seed and its name only. After an interruption the same command continues.
    `verify DST` decodes every clip and compares it with set.json.
    Exit code: 0 done, 1 `verify` found differences, 2 wrong use, 130
    interrupted.
    """
    parser.set_defaults(resumable=True)
    commands = parser.add_subparsers(dest='set', required=True, metavar='SET')
    for key, (name, count, frames) in choices.PUBLISHED_SETS.items():
        text = f'{name}: {count} clips of {frames or "about 32"} frames'
        command = commands.add_parser(key, help=text)
        _add_set_options(command)
        if key not in choices.REAL_SETS:
            _add_degradation(command)
        if key in choices.COPIED_SETS:
            command.add_argument(
                '--given-lq',
                action='store_true',
                help='take the low-quality clips that lie in LQ/ beside GT/ '
                'instead of making them',
            )
        _add_as_is(command)
    for key, (_, count, frames, _) in choices.OPENVID_SETS.items():
        text = f'{count} clips of OpenVid-1M, {frames} frames'
        _add_openvid(commands.add_parser(key, help=text), frames, count)
    command = commands.add_parser('folder', help='any clips')
    command.add_argument('name', help='of the set')
    _add_set_options(command)
    _add_degradation(command)
    command.add_argument(
        '--source', default='a folder of clips', help='for the manifest'
    )
    command.add_argument(
        '--real',
        action='store_true',
        help='clips of SRC are low-quality inputs, not ground truth; ignored '
        'where SRC has gt/ or lq/',
    )
    command = commands.add_parser('verify', help='decode and compare a set')
    command.add_argument('dst', type=Path)


def cache_latents(parser: Parser) -> None:
    """Encode the training clips of a config once.

    The items 0 to N - 1 of the training data set, with their crops,
    degradation and prompts, become latents and text embeddings, which the
    data set `CachedLatents` reads. After an interruption the same command
    continues. Where the autoencoder samples its posterior, one sample is
    kept, drawn by the seed of the item.
    """
    parser.set_defaults(resumable=True)
    parser.add_argument('config', help='file or name of a training config')
    _add_cache(parser, shard_size=64)


def teacher(parser: Parser) -> None:
    """Restore the training clips of a config with a teacher, once.

    A student that restores in one step, or in a few, is trained from the
    result. The teacher is the config's model, or that of the config which it
    names as `teacher`; it restores the items 0 to N - 1 of its own training
    data set with its own `restore_options`, several evaluations with
    guidance. Latents, its result and some states of the way to it become a
    cache that the data set `CachedLatents` reads. After an interruption the
    same command continues.
    """
    parser.set_defaults(resumable=True)
    add = parser.add_argument
    add('config', help='file or name of a config of a teacher or a student')
    _add_cache(parser, shard_size=8)
    add(
        '--points',
        type=int,
        default=4,
        metavar='K',
        help='states of each path to keep, with the guided velocity there; '
        'default: 4',
    )
    add(
        '--ema',
        action='store_true',
        help='take the averaged weights of the checkpoint in --weights',
    )


def prompts(parser: Parser) -> None:
    """Store embeddings of prompts, in the place of a text encoder.

        star prepare prompts CONFIG
        star prepare prompts CONFIG DST --prompt TEXT --prompt TEXT

    Without --prompt they are those that the config restores with: its prompt,
    its negative one, and the empty one. Where the config's `weights` has
    `prompts`, the file takes the place of the text encoder from then on, which
    is not loaded any more.
    """
    add = parser.add_argument
    add('config', help='file or name of a config')
    add(
        'dst',
        type=Path,
        nargs='?',
        help='file to write (.safetensors); default: where the config looks '
        'for it',
    )
    add(
        '--prompt',
        action='append',
        metavar='TEXT',
        help='store this one; may be given several times',
    )
    add(
        '--weights',
        help="file of the whole model, or a folder with the text encoder's; "
        'default: the weights that the config names',
    )
    add('--device', help='default: a GPU if there is one')


def _add_cache(parser: Parser, shard_size: int) -> None:
    """Add the options of a cache of latents."""
    add = parser.add_argument
    add('cache', type=Path, help='folder of the cache')
    add('--num-items', type=int, required=True, help='items to encode')
    add('--dtype', choices=choices.CACHE_DTYPES, default='float16')
    add(
        '--shard-size',
        type=int,
        default=shard_size,
        help='items of a file; they are in memory at once',
    )
    add(
        '--keep-gt',
        action='store_true',
        help='keep the pixels of the ground truth as well, for losses that '
        'compare with them',
    )
    add(
        '--weights',
        help='file of the whole model, or a folder; default: the weights that '
        'the config names',
    )
    add('--device', help='default: a GPU if there is one')
    add(
        '--workers',
        type=number(int, 0),
        default=1,
        help='processes that load items; default: 1',
    )
    add_config_options(parser)
    add_ray_options(parser)


def _add_openvid(
    command: argparse.ArgumentParser, frames: int, count: int
) -> None:
    _add_set_options(command, frames)
    _add_degradation(command)
    _add_as_is(command)
    which = command.add_mutually_exclusive_group()
    which.add_argument(
        '--list',
        type=Path,
        help='text file with the name of a video on each line, with or '
        'without .mp4, or its path below SRC; without it and --table, SRC '
        f'must hold exactly {count}',
    )
    which.add_argument(
        '--table',
        type=Path,
        help='table of `star prepare openvid`, or OpenVid-1M.csv: chooses '
        'among the videos held out from training',
    )


def _add_set_options(
    command: argparse.ArgumentParser, frames: int | None = None
) -> None:
    add = command.add_argument
    add('src', type=Path, help="the owner's files, unpacked")
    add('dst', type=Path, help='folder of the prepared set')
    add(
        '--frames',
        type=number(int, 1),
        default=frames,
        metavar='N',
        help=f'the first N of each clip; default: {frames or "all"}',
    )
    add(
        '--size',
        type=sizes('HxW'),
        metavar='HxW',
        help='cut out the centre',
    )
    add('--clips', nargs='+', metavar='NAME', help='these clips only')
    add('--ffv1', action='store_true', help='write .mkv instead of PNGs')
    add('--link', action='store_true', help='link unchanged files')


def _add_degradation(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add(
        '--preset',
        choices=choices.PRESETS,
        help='degradation that makes the inputs; default: star',
    )
    add(
        '--scale',
        type=number(int, 1),
        help='size of gt/ over that of lq/; default: 4',
    )
    add(
        '--seed',
        type=number(int, 0),
        help='of the degradation; default: 0',
    )


def _add_as_is(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        '--as-is',
        action='store_true',
        help='accept counts or sizes other than the published ones',
    )
