"""The command `star`: finds the subcommand, reads its options, runs it."""

import inspect
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NoReturn

from star import __version__
from star.cli.common import Parser, execute

# Of two words, a group and its command. The function of the last word in
# star/cli/options/GROUP.py adds the options; its docstring is the help.
COMMANDS = (
    'restore',
    'plan',
    'demo',
    'app',
    'train',
    'test',
    'benchmark',
    'sweep',
    'study serve',
    'study export',
    'convert star',
    'convert star-cogvideox',
    'convert baseline',
    'convert lpips',
    'convert onnx',
    'convert diffusers',
    'convert lora',
    'convert publish',
    'prepare openvid',
    'prepare test-sets',
    'prepare cache-latents',
    'prepare teacher',
    'prepare prompts',
    'doctor',
)
# these compute with tensors; glibc's allocator is set up for them
COMPUTING = (
    'restore',
    'plan',
    'demo',
    'train',
    'test',
    'prepare cache-latents',
    'prepare teacher',
)


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line.

    Args:
        words: without the name `star`; None for those of the process.

    Returns:
        The exit code: 0 done, 1 something was not, 2 wrong use, 3 stopped by
        `star restore --until`, 130 interrupted.
    """
    words = sys.argv[1:] if words is None else list(words)
    if words[:2] == ['convert', '--to']:
        del words[1]  # `convert --to onnx` is `convert onnx`
    count = next((n for n in (1, 2) if ' '.join(words[:n]) in COMMANDS), None)
    if count is None:
        _explain(words)
    name, rest = ' '.join(words[:count]), words[count:]
    args = make_parser(name).parse(rest)
    args.words = rest
    if getattr(args, 'keep_memory', False):
        import_module('star.utils.allocator').keep_memory()
    module = 'star.cli.' + name.replace(' ', '.').replace('-', '_')
    module += '_start' * (name == 'restore')  # it imports the rest later
    return execute(lambda args: import_module(module).run(args), args)


def make_parser(name: str) -> Parser:
    """Make the parser of a command.

    Args:
        name: one of `COMMANDS`.
    """
    add_options = _options_of(name)
    parser = Parser(f'star {name}', inspect.getdoc(add_options))
    add_options(parser)
    if name in COMPUTING:
        _add_keep_memory(parser)
    return parser


def _add_keep_memory(parser: Parser) -> None:
    parser.add_argument(
        '--no-keep-memory',
        dest='keep_memory',
        action='store_false',
        help='let glibc return the memory of each freed tensor to the system '
        'at once: slower',
    )


def _options_of(name: str) -> Callable[[Parser], None]:
    words = name.replace('-', '_').split()
    return getattr(import_module(f'star.cli.options.{words[0]}'), words[-1])


def _explain(words: Sequence[str]) -> NoReturn:
    """Answer --help and --version; refuse a command that does not exist."""
    group = words[0] if words and _members(words[0]) else ''
    names = _members(group) or list(COMMANDS)
    width = max(map(len, names))
    lines = [
        f'  {name:{width}}  {str(_options_of(name).__doc__).splitlines()[0]}'
        for name in names
    ]
    head = 'Restore videos; train, test and compare the methods that do.'
    parser = Parser(
        f'star {group}'.strip(), '\n'.join([head, '', 'Commands:', *lines])
    )
    parser.usage = 'star COMMAND [options]; star COMMAND --help explains one'
    version = f'star {__version__}'
    parser.add_argument('--version', action='version', version=version)
    parser.parse_known_args(words[1:] if group else words)
    given = ' '.join(words) or 'no command'
    parser.error(f'{given!r}: must be one of {", ".join(names)}')


def _members(group: str) -> list[str]:
    return [name for name in COMMANDS if name.startswith(f'{group} ')]
