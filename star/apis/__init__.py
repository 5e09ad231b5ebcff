"""For people with a file: build a model, restore a video."""

from star.apis.build import init_model
from star.apis.restore import FileOptions, RestoreReport, restore_video

__all__ = ['FileOptions', 'RestoreReport', 'init_model', 'restore_video']
