"""The parser, number types, messages and exit codes of every command."""

import argparse
import math
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from star.utils.text import one_line

DONE, INCOMPLETE, WRONG_USE = 0, 1, 2
STOPPED = 3  # by `--until`; the same command goes on
INSTALL = 'run `pip install star-vsr`, in a checkout `pip install -e .`'


class _Collect(argparse.Action):
    """Stores an option's value; adds it to those of an earlier list."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        earlier = getattr(namespace, self.dest, self.default)
        if self.nargs in ('*', '+') and earlier is not self.default:
            values = [*earlier, *values]
        setattr(namespace, self.dest, values)


class Parser(argparse.ArgumentParser):
    """Reads options without abbreviations; a wrong one is one line.

    An option of several words can be given several times: `--sets a --sets b`
    is `--sets a b`.

    Args:
        prog: name of the command, such as 'star restore'.
        description: shown by --help as it stands.
    """

    def __init__(
        self, prog: str | None = None, description: str | None = None
    ) -> None:
        super().__init__(
            prog=prog,
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self.register('action', None, _Collect)  # the default action
        self.intermixed = False
        self.source = ''  # of the words, if not the command line

    def allow_intermixed(self) -> None:
        """Accept positional arguments between and after options."""
        self.intermixed = True

    def parse(self, words: Sequence[str] | None = None) -> argparse.Namespace:
        """Read a command line; None stands for that of the process."""
        if self.intermixed:
            return self.parse_intermixed_args(words)
        return self.parse_args(words)

    def error(self, message: str) -> NoReturn:
        """Print a line and exit with 2."""
        say(f'error: {self.source}{message}')
        raise SystemExit(WRONG_USE)


def execute(
    run: Callable[[argparse.Namespace], int], args: argparse.Namespace
) -> int:
    """Run a command; report an error or Ctrl-C as one line.

    Args:
        run: the command; returns its exit code.
        args: its options. With `resumable` the message after Ctrl-C says
            that the same command continues.

    Returns:
        The exit code.
    """
    try:
        return run(args)
    except KeyboardInterrupt as error:
        again = getattr(args, 'resumable', False)
        say('interrupted' + '; the same command continues' * again)
        return 128 + getattr(error, 'signum', signal.SIGINT)
    except ImportError as error:
        name = str(error.name or '').partition('.')[0]
        if name == 'star':
            raise
        reason = str(error)
        if isinstance(error, ModuleNotFoundError):
            reason = f'{name} is missing: {INSTALL}'
        say(f'error: {reason}')
    except (OSError, ValueError) as error:
        say(f'error: {error}')
    return WRONG_USE


def fail(error: BaseException) -> int:
    """Print the traceback of a defect and return the exit code 1."""
    traceback.print_exception(error)
    return INCOMPLETE


def say(text: str) -> None:
    """Print a message, in one line, to the standard error stream.

    Nobody reads it where the terminal was closed; what remains to be done
    matters more.
    """
    with suppress(OSError):
        print(one_line(text), file=sys.stderr, flush=True)


def announce(name: str) -> None:
    """Print a first line, unless what takes seconds to import is there."""
    if 'torch' not in sys.modules:
        say(f'{Path(name).name or name}: loading the program')


def number(
    kind: type, least: float, most: float = math.inf, above: bool = False
) -> Callable[[str], float]:
    """Make a reader of numbers for `type` of an option.

    Args:
        kind: int or float.
        least: smallest allowed value.
        most: largest allowed value.
        above: `least` itself is not allowed.
    """
    rule = f'must be {"a number" if kind is float else "a whole number"} '
    rule += f'{"above" if above else "of at least"} {least:g}'
    if most < math.inf:
        rule += f' and at most {most:g}'

    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        low = value > least if above else value >= least
        if not (low and value <= most and math.isfinite(value)):
            raise argparse.ArgumentTypeError(f'{rule}, got {text!r}')
        return value

    return read


def sizes(form: str) -> Callable[[str], tuple[int, ...]]:
    """Make a reader of sizes for `type` of an option.

    Args:
        form: such as 'HxW': as many whole numbers of at least 1.
    """
    count = form.count('x') + 1

    def read(text: str) -> tuple[int, ...]:
        words = text.split('x')
        good = all(word.isdecimal() and int(word) for word in words)
        if len(words) != count or not good:
            raise argparse.ArgumentTypeError(
                f'must be {form} in whole numbers of at least 1, got {text!r}'
            )
        return tuple(map(int, words))

    return read
