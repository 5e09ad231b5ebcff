"""The command `star prepare teacher`, run from a checkout."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from star.cli.main import main

if __name__ == '__main__':
    sys.exit(main(['prepare', 'teacher', *sys.argv[1:]]))
