"""Options of `star test`."""

from pathlib import Path

from star.cli.common import Parser, number
from star.cli.options.restore import add_dtype, add_fidelity
from star.cli.options.savings import add_saving_options
from star.cli.options.train import add_config_options, add_process_options


def test(parser: Parser) -> None:
    """Test a method on test sets and score it.

        star test CONFIG [CHECKPOINT] [options]
        star test bicubic --set mine=FOLDER --metrics PSNR SSIM

    CHECKPOINT: nothing, or `default`, for the weights that the config names;
    a word that the config knows (heavy, light); a training's folder iter_N; a
    file of weights, or the name of a published one; `none` for random
    numbers. Results of other methods are scored by

        star test saved_results --results FOLDER

    with clips as FOLDER/SET/NAME, folders of frames or lossless videos.

    WORK_DIR gets results.json, sets.csv, clips.csv and frames.csv, and a
    record of each clip: the same command continues a test that was stopped,
    and with further --metrics adds them to a test with --save, without
    restoring again.
    Exit code: 0 done, 1 done with problems, which are listed, 2 wrong use,
    130 interrupted. A named metric without a score, and a set without any,
    are problems or wrong use.
    """
    parser.set_defaults(resumable=True)
    parser.allow_intermixed()  # CHECKPOINT may follow options
    add = parser.add_argument
    add('config', help='file or name of a config, such as i2vgen or bicubic')
    add('checkpoint', nargs='?', default='default')
    _add_method_options(parser)
    add_saving_options(parser)
    _add_scoring_options(parser)
    add = parser.add_argument_group('test').add_argument
    add('--work-dir', help='default: work_dirs/test/NAME')
    add('--save', choices=['png', 'mkv'], help='keep restored clips')
    add(
        '--out',
        type=Path,
        metavar='FILE',
        help='write the results to this .json, .pkl or .pickle as well',
    )
    add(
        '--show-dir',
        type=Path,
        metavar='DIR',
        help='write pictures lq | pred | gt of the first, middle and last '
        'frame of each clip, DIR/SET/NAME/FRAME.png',
    )
    add('--device', help='cuda, mps, cpu ...; default: a GPU if there is one')
    add_config_options(parser)
    add_process_options(parser)


def _add_method_options(parser: Parser) -> None:
    add = parser.add_argument_group('method').add_argument
    add('--ema', action='store_true', help="the folder's averaged weights")
    add(
        '--weights',
        help='weights that CHECKPOINT does not hold, or instead of those that '
        'the config names: as for star train',
    )
    add('--results', metavar='FOLDER', help='clips restored before')
    add('--name', help="in tables; default: the config's")
    add_fidelity(add)
    add_dtype(add)


def _add_scoring_options(parser: Parser) -> None:
    add = parser.add_argument_group('sets and metrics').add_argument
    add(
        '--sets',
        nargs='+',
        metavar='NAME',
        help='default: those of --set; without --set, all of the config',
    )
    add(
        '--set',
        action='append',
        default=[],
        metavar='NAME=FOLDER',
        help='folder of a set, which the config need not know; several times',
    )
    add(
        '--frames',
        type=number(int, 1),
        metavar='N',
        help='the first N of each clip',
    )
    add(
        '--metrics',
        nargs='+',
        metavar='NAME[:KEY=VALUE,...]',
        help='such as PSNR LPIPS:net=squeeze, for all sets; default: all of '
        'the config, for the sets that it names',
    )
    add(
        '--protocol',
        metavar='NAME',
        help='sets and metrics of a published table instead of those of the '
        'config: dove (docs/metrics.md)',
    )
    add(
        '--weights-dir',
        help="folder with weight files of metrics and of a baseline's network",
    )
