"""For people with a file: build a model, restore a video, publish a model.

Names are imported when they are first used: who only wants a model does not
load what reads and writes videos.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from star.apis.inference.file_options import FileOptions
    from star.apis.inference.load import init_model
    from star.apis.inference.restore import RestoreReport, restore_video
    from star.apis.pipeline.pipeline import STARVideoPipeline
    from star.apis.publish.options import PublishOptions
    from star.apis.publish.publish import publish_model

__all__ = [
    'FileOptions',
    'PublishOptions',
    'RestoreReport',
    'STARVideoPipeline',
    'init_model',
    'publish_model',
    'restore_video',
]
_HOMES = {
    'FileOptions': 'inference.file_options',
    'PublishOptions': 'publish.options',
    'STARVideoPipeline': 'pipeline.pipeline',
    'init_model': 'inference.load',
    'publish_model': 'publish.publish',
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    home = _HOMES.get(name, 'inference.restore')
    return getattr(importlib.import_module(f'star.apis.{home}'), name)
