"""For people with a file: build a model, restore a video.

Names are imported when they are first used: who only wants a model does not
load what reads and writes videos.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from star.apis.inference.file_options import FileOptions
    from star.apis.inference.load import init_model
    from star.apis.inference.restore import RestoreReport, restore_video

__all__ = ['FileOptions', 'RestoreReport', 'init_model', 'restore_video']
_HOMES = {'FileOptions': 'file_options', 'init_model': 'load'}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    home = _HOMES.get(name, 'restore')
    return getattr(
        importlib.import_module(f'star.apis.inference.{home}'), name
    )
