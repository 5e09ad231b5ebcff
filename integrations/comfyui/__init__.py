"""Nodes of ComfyUI that restore videos and images with STAR."""

import logging
from importlib.util import find_spec

NODE_CLASS_MAPPINGS: dict[str, type] = {}
NODE_DISPLAY_NAME_MAPPINGS: dict[str, str] = {}


def _is_installed() -> bool:
    """Return whether this Python has the package, and no other `star`."""
    try:
        return find_spec('star.apis') is not None
    except ModuleNotFoundError:
        return False


if _is_installed():
    from .nodes import NODES

    NODE_CLASS_MAPPINGS.update({each.__name__: each for each in NODES})
    NODE_DISPLAY_NAME_MAPPINGS.update(
        {each.__name__: each.TITLE for each in NODES}
    )
else:
    logging.getLogger('star').error(
        'the STAR nodes need the package star: run `pip install star-vsr` '
        "with ComfyUI's Python"
    )

__all__ = ['NODE_CLASS_MAPPINGS', 'NODE_DISPLAY_NAME_MAPPINGS']
