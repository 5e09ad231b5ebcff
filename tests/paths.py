"""Where shared test material lies, and skip marks for where it does not."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
_SHARED = ROOT.parent / 'shared'


def _find(variable: str, default: Path) -> Path | None:
    path = Path(os.environ.get(variable, default))
    return path if path.is_dir() else None


VECTORS = _find('STAR_VECTORS', _SHARED / 'reference' / 'vectors')
CLIPS = _find('STAR_CLIPS', _SHARED / 'clips')
WEIGHTS = _find('STAR_WEIGHTS', _SHARED / 'weights')

needs_vectors = pytest.mark.skipif(
    VECTORS is None, reason='no reference vectors (set STAR_VECTORS)'
)
needs_clips = pytest.mark.skipif(
    CLIPS is None, reason='no test clips (set STAR_CLIPS)'
)
