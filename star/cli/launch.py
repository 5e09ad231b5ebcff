"""The processes and errors of `star train`, `star test`, `star restore`."""

import argparse
import os

from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main as torchrun

from star.apis.train.training import config_error
from star.cli.common import DONE, INCOMPLETE, STOPPED, fail


def launches(args: argparse.Namespace) -> bool:
    """Return whether this process starts others, and is none of them."""
    return args.gpus is not None and args.launcher == 'none'


def launch(command: str, args: argparse.Namespace) -> int:
    """Run a command in `args.gpus` processes, which print their errors.

    Args:
        command: such as 'train'.
        args: its options, with `words`, the command line.

    Returns:
        The exit code; 128 more than its number after a signal.
    """
    # processes that a signal reaches finish an iteration and save
    os.environ.setdefault('TORCH_ELASTIC_SHUTDOWN_TIMEOUT', '120')  # seconds
    words = ['--standalone', f'--nproc-per-node={args.gpus}', '-m', 'star']
    try:
        torchrun([*words, command, *args.words, '--launcher', 'pytorch'])
    except ChildFailedError as error:
        codes = {child.exitcode for child in error.failures.values()}
        return STOPPED if STOPPED in codes else INCOMPLETE
    except SignalException as error:
        return 128 + error.sigval
    return DONE


def refuse(error: Exception) -> int:
    """Raise an error that a wrong setting of a config causes.

    Args:
        error: any.

    Returns:
        The exit code of a defect, whose traceback is printed.

    Raises:
        ValueError: the error in one line.
        ImportError: a package is missing.
        OSError: a file cannot be read or written.
    """
    if isinstance(error, ImportError | OSError):
        raise error
    reason = config_error(error)
    if reason is None:
        return fail(error)
    raise ValueError(reason) from error
