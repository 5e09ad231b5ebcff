"""Checks of commands in documents, by the parsers that read them."""

import argparse
import configparser
import contextlib
import io
import re
import shlex
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from unittest.mock import patch

from mmengine.config import Config

from star.apis.inference.build import find_config, load_config
from star.apis.test.metrics import choose_metrics
from star.apis.test.sets import choose_sets
from star.apis.train.training import apply_changes, read_changes
from star.cli.common import Parser
from star.cli.main import COMMANDS, make_parser
from star.sweep.keys import check_key
from tests.paths import ROOT
from tests.test_tools.test_forwarding import FORWARDED
from tests.test_tools.tools import load_tool

MAKEFILE = (ROOT / 'Makefile').read_text(encoding='utf-8')
MIM = ('install', 'search', 'download', 'train', 'test', 'run', 'gridsearch')
# how many words of a script come before the options of its command
SCRIPTS = {
    'tools/dist_train.sh': ('train', ['CONFIG', 'GPUS']),
    'tools/dist_test.sh': ('test', ['CONFIG', 'CHECKPOINT', 'GPUS']),
    'tools/slurm_train.sh': ('train', ['PARTITION', 'JOB', 'CONFIG']),
}
# tools that hand on options which they do not know
LENT = {'analysis_tools/measure_cost.py': 'restore'}
# named to say that they are wrong
WARNED_OF = ('mim install star', 'pip install star')
_PLACE = re.compile(r'[A-Z][A-Z_]*(\.\w+)?')  # CONFIG, OUT.png
_VALUES = {'N': '1', 'HxW': '8x8', 'N...': '1'}


def find_problem(command: str, whole: bool = True) -> str | None:
    """Return why a command of a document is wrong, or None.

    Args:
        command: as written; CAPITALS stand for what the reader has, `[FILE]`
            may be left out, and `...` stands for more.
        whole: nothing is left out that the command needs.
    """
    if command in WARNED_OF:
        return None
    words, complete = clean(shlex.split(command, comments=True))
    try:
        _check(words, whole and complete)
    except ValueError as error:
        return f'{command}: {error}'
    return None


def clean(words: Sequence[str]) -> tuple[list[str], bool]:
    """Drop `...` and what stands in brackets; return whether nothing was."""
    kept = [w for w in words if w != '...' and not re.fullmatch(r'\[.*\]', w)]
    whole = '...' not in words
    kept = [_VALUES.get(word, word.removesuffix('...')) for word in kept]
    return kept, whole


def known_options() -> set[str]:
    """Collect the options of every command and tool."""
    return set().union(*(_options(parser) for parser in _all_parsers()))


def find_configs(name: str) -> list[Path]:
    """Return the config files that a name or pattern stands for.

    Raises:
        ValueError: there is none.
    """
    if is_place(name) or name.startswith(('mine.py', 'hf://')):
        return []  # the reader's own
    if found := sorted(ROOT.glob(name)):
        return found
    return [find_config(Path(name).stem if '/' not in name else name)]


def is_place(word: str) -> bool:
    """Return whether a word stands for something of the reader's."""
    return bool(_PLACE.fullmatch(word))


def _check(words: list[str], whole: bool) -> None:
    first, rest = words[0], words[1:]
    checks = {
        'star': _check_star,
        'python': _check_python,
        'make': _check_make,
        'mim': _check_mim,
        'pip': _check_extras,
        'pytest': _check_tests,
    }
    if first in checks:
        checks[first](rest, whole)
    elif first in SCRIPTS:
        _check_script(first, rest, whole)
    elif first.endswith('.sh'):
        raise ValueError(f'there is no script {first}')


def _check_star(words: list[str], whole: bool) -> None:
    counts = (n for n in (2, 1) if ' '.join(words[:n]) in COMMANDS)
    count = next(counts, None)
    if count is None:
        known = {'--version', '--help'}
        if not whole:  # a group, or the program
            known |= {'', *(name.split()[0] for name in COMMANDS)}
        if ' '.join(words) not in known:
            raise ValueError(f'there is no command {" ".join(words)!r}')
        return
    name, rest = ' '.join(words[:count]), words[count:]
    args = parse(make_parser(name), rest, whole)
    if args is not None:
        _check_values(args)


def parse(
    parser: Parser, words: list[str], whole: bool
) -> argparse.Namespace | None:
    """Parse words; None where they are too few to be parsed.

    Raises:
        ValueError: an option is unknown or has a wrong value.
    """
    options = _options(parser)
    for word in words:
        name = word.partition('=')[0]
        if re.match('--[a-z]', word) and name not in options:
            raise ValueError(f'unrecognized arguments: {name}')
    message = io.StringIO()
    try:
        with contextlib.redirect_stderr(message):
            return parser.parse(words)
    except SystemExit as stop:
        text = message.getvalue().removeprefix('error: ').strip()
        choice = re.search(r"invalid choice: '([^']*)'", text)
        open_choice = choice is not None and is_place(choice[1])
        few = 'required' in text or 'expected' in text
        if stop.code == 0 or open_choice or (few and not whole):
            return None
        raise ValueError(text) from None


def _options(parser: argparse.ArgumentParser) -> set[str]:
    found = set(parser._option_string_actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                found |= _options(child)
    return found


def _check_values(args: argparse.Namespace) -> None:
    """Check configs, their keys, metrics and the options of others."""
    names = [getattr(args, 'config', None), *(getattr(args, 'configs', ()))]
    configs = [
        load_config(path)
        for name in names
        if name is not None
        for path in find_configs(str(name))
    ]
    for config in configs:
        if getattr(args, 'cfg_options', None):
            apply_changes(config, read_changes(args.cfg_options))
        if getattr(args, 'metrics', None):
            choose_metrics(config, args.metrics)
        _check_sets(config, args)
        for text in [*_texts(args, 'grid'), *_texts(args, 'search')]:
            check_key(config, text.partition('=')[0])
    for command in ('train', 'test'):
        words = getattr(args, f'{command}_args', None) or ''
        words = shlex.split(words) if isinstance(words, str) else words
        parse(make_parser(command), list(words), whole=False)


def _texts(args: argparse.Namespace, name: str) -> list[str]:
    values = getattr(args, name, None) or []
    return [v for v in values if isinstance(v, str)]


def _check_sets(config: Config, args: argparse.Namespace) -> None:
    if 'checkpoint' in args and args.sets:
        pairs = (text.partition('=') for text in args.set)
        choose_sets(config, args.sets, {name: path for name, _, path in pairs})


def _check_python(words: list[str], whole: bool) -> None:
    if words[:1] == ['-m']:
        if words[1].startswith(('projects.', 'star')):
            module = import_module(words[1])
            parse(find_parser(module), words[2:], whole)
        return
    path = words[0].removeprefix('tools/')
    if path in FORWARDED:
        _check_star([*FORWARDED[path].split(), *words[1:]], whole)
    elif words[0].startswith('tools/'):
        _check_exist(words[:1])
        parser, rest = find_parser(load_tool(path)), words[1:]
        if path in LENT:
            _, rest = parser.parse_known_args(rest)
            parser, rest = make_parser(LENT[path]), ['SRC', 'DST', *rest]
        args = parse(parser, rest, whole)
        if args is not None:
            _check_values(args)


class _Found(Exception):
    """Carries a parser out of the function that made it."""


def find_parser(module: object) -> Parser:
    """Return the parser that `parse_args` of a tool makes."""

    def take(self: Parser, *words: object) -> None:
        raise _Found(self)

    with patch.object(Parser, 'parse_known_args', take):
        try:
            module.parse_args()  # type: ignore[attr-defined]
        except _Found as found:
            return found.args[0]
    raise AssertionError(f'{module} reads no options')


def _check_script(path: str, words: list[str], whole: bool) -> None:
    command, names = SCRIPTS[path]
    if whole and len(words) < len(names):
        raise ValueError(f'needs {" ".join(names)}')
    if words:
        config = words[: len(names)][names.index('CONFIG')]
        _check_star([command, config, *words[len(names) :]], whole)


def _check_make(words: list[str], whole: bool) -> None:
    for word in words:
        name, equals, _ = word.partition('=')
        rule = rf'^(override )?{name} \??:?=' if equals else rf'^{name}:'
        if not re.search(rule, MAKEFILE, re.M):
            raise ValueError(f'the Makefile has no {name}')


def _check_mim(words: list[str], whole: bool) -> None:
    if words[:1] and words[0] not in MIM:
        raise ValueError(f'mim has no {words[0]}')
    if words[1:2] and words[1] != 'star-vsr':
        raise ValueError(f'the package is star-vsr, got {words[1]}')
    if words[:1] in (['train'], ['test']):
        _check_star([words[0], *words[2:]], whole)


def _check_extras(words: list[str], whole: bool) -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / 'setup.cfg')
    for word in words:
        for extra in re.findall(r'^(?:star-vsr|\.)\[(\w+)\]$', word):
            if extra not in setup['options.extras_require']:
                raise ValueError(f'there is no extra {extra!r}')


def _check_tests(words: list[str], whole: bool) -> None:
    _check_exist([word for word in words if '/' in word])


def _check_exist(paths: Sequence[str]) -> None:
    for path in paths:
        if not list(ROOT.glob(path.partition('::')[0])):
            raise ValueError(f'there is no {path}')


def find_path(text: str, folder: Path) -> bool:
    """Return whether a path of the project, or a pattern, exists."""
    places = (ROOT, folder, folder.parent)
    return any(list(place.glob(text.rstrip('/'))) for place in places)


@lru_cache
def _all_parsers() -> tuple[Parser, ...]:
    made = [make_parser(name) for name in COMMANDS]
    tools = sorted((ROOT / 'tools').rglob('*.py'))
    names = [path.relative_to(ROOT / 'tools').as_posix() for path in tools]
    own = [name for name in names if name not in FORWARDED]
    made += [find_parser(load_tool(name)) for name in own]
    return (*made, *_project_parsers())


def _project_parsers() -> Iterator[Parser]:
    for path in sorted((ROOT / 'projects').glob('*/tools/*.py')):
        if not fnmatchcase(path.name, '__*'):
            name = path.relative_to(ROOT).with_suffix('').as_posix()
            module = import_module(name.replace('/', '.'))
            if hasattr(module, 'parse_args'):
                yield find_parser(module)
