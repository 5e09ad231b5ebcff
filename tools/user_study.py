"""Ask people which method's results look best, blind and side by side.

    python tools/user_study.py serve --methods A=FOLDER B=FOLDER --db FILE
    python tools/user_study.py export --db FILE --out FOLDER

`serve` answers browsers until it is stopped; started again with the same
arguments it goes on. FOLDER holds SET/NAME, a video or a folder of frames
for each clip, as tools/test.py --save writes them. Exit code: 0 done, 2
wrong use.
"""

import argparse
import ipaddress
import sys
from fractions import Fraction
from pathlib import Path
from typing import NoReturn

try:
    from star.user_study.export import export_study
    from star.user_study.founding import open_study
    from star.user_study.sources import find_clips, inspect, parse_methods
    from star.user_study.store import Store
    from star.user_study.summary import ALL
    from star.user_study.transcoding import CRF, transcode_clip
    from star.user_study.web import LOCAL, create_app, make_server
except ModuleNotFoundError as error:
    sys.exit(
        f'error: {error.name} is not installed; run `pip install -e .` in '
        'the folder of the project'
    )


class Parser(argparse.ArgumentParser):
    """Answers a wrong option with one line."""

    def error(self, message: str) -> NoReturn:
        print(f'error: {message}', file=sys.stderr)
        raise SystemExit(2)


def parse_args() -> argparse.Namespace:
    parser = Parser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(
        dest='command', required=True, metavar='serve | export'
    )
    add_serve(commands.add_parser('serve', allow_abbrev=False))
    add_export(commands.add_parser('export', allow_abbrev=False))
    return parser.parse_args()


def add_serve(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add('--methods', nargs='+', required=True, metavar='NAME=FOLDER')
    add('--sets', nargs='+', default=[], metavar='SET', help='default: all')
    add('--db', type=Path, required=True, help='SQLite file of the votes')
    add(
        '--clips',
        type=int,
        metavar='N',
        help='clips of each set, drawn by the seed; default: all',
    )
    add('--seed', type=int, default=0, help='of all orders; default: 0')
    add('--fps', type=rate, help="default: the videos' own, 25 for frames")
    add(
        '--crf',
        type=quality,
        default=CRF,
        help=f'of the H.264 files that are shown; default: {CRF}',
    )
    add(
        '--cache',
        type=Path,
        help='folder of those files; default: beside the database',
    )
    add('--host', default='127.0.0.1', help='default: 127.0.0.1, only here')
    add('--port', type=port, default=8000, help='0: any; default: 8000')


def add_export(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add('--db', type=Path, required=True)
    add('--out', type=Path, required=True, help='folder of tables and charts')
    add('--finished', action='store_true', help='only who has finished counts')
    add('--seed', type=int, default=0, help='of the intervals; default: 0')


def rate(text: str) -> Fraction:
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        value = Fraction(0)
    if not 0 < value <= 240:
        raise argparse.ArgumentTypeError(
            f'must be a rate up to 240 such as 25 or 30000/1001, got {text!r}'
        )
    return value


def quality(text: str) -> float:
    if not (text.replace('.', '', 1).isdecimal() and float(text) <= 51):
        raise argparse.ArgumentTypeError(f'must be 0 to 51, got {text!r}')
    return float(text)


def port(text: str) -> int:
    if not (text.isdecimal() and int(text) < 2**16):
        raise argparse.ArgumentTypeError(f'must be 0 to 65535, got {text!r}')
    return int(text)


def serve(args: argparse.Namespace) -> None:
    """Prepare the clips, then answer until interrupted."""
    methods = parse_methods(args.methods)
    clips = find_clips(methods, args.sets, args.clips, args.seed)
    clips = [inspect(clip, args.fps) for clip in clips]
    cache = args.cache or args.db.with_suffix('.clips')
    files = {c.key: transcode_clip(c, cache, args.crf, say) for c in clips}
    store = open_study(args.db, clips, files, args.seed)
    local = is_local(args.host)
    app = create_app(store, cache, (*LOCAL, args.host) if local else ())
    server = make_server(app, args.host, args.port)
    if not local:
        say(
            f'note: {args.host} can be reached by others, unencrypted; '
            'whoever reaches it can take part'
        )
    name = f'[{args.host}]' if ':' in args.host else args.host
    say(f'{len(clips)} clips of {len(methods)} methods')
    say(f'http://{name}:{server.port}/ (Ctrl-C stops, nothing is lost)')
    server.serve_forever()


def is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == 'localhost'


def export(args: argparse.Namespace) -> None:
    """Write the tables and charts, and say the shares."""
    shares = export_study(Store(args.db), args.out, args.finished, args.seed)
    for share in shares:
        if share.dataset == ALL:
            ends = share.bootstrap or share.wilson
            print(
                f'{share.question}: {share.method} {100 * share.share:.1f} % '
                f'[{100 * ends.low:.1f}, {100 * ends.high:.1f}] of '
                f'{share.total} votes'
            )
    print(f'{args.out}: votes.csv, summary.csv, pies.png, bars.png')


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    args = parse_args()
    try:
        {'serve': serve, 'export': export}[args.command](args)
    except KeyboardInterrupt:
        say('stopped')
    except (ValueError, ImportError, OSError) as error:
        say(f'error: {error}')
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
