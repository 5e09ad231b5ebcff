"""Run the command, as `star` and as `python -m star`."""

import sys

_INTERRUPTED = 130  # exit code


def main() -> int:
    """Run the command line of the process; return the exit code.

    Ctrl-C prints one line, also while the command is being imported.
    """
    try:
        from star.cli.main import main as run

        return run()
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        return _INTERRUPTED


if __name__ == '__main__':
    sys.exit(main())
