"""Run the command as `python -m star`."""

import sys

from star.cli.main import main

if __name__ == '__main__':
    sys.exit(main())
