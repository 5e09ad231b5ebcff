"""The nodes. What they share with `star restore` is called, not repeated.

ComfyUI calls a node with all its widgets as keywords. `**values` takes those
of `inputs.py`, whose names ComfyUI has checked.
"""

from typing import Any, ClassVar

from torch import Tensor

from star.cli.options import choices
from star.utils.paths import config_root

from . import host
from .inputs import AUTO, MORE, USUAL, collect, describe

_CATEGORY = 'STAR'
_DEFAULT = 'tiny_compact'  # its weights ship with the package
_NO_METHODS = ('ablations', 'saved_results')  # folders of configs
_CUTS = ['auto', 'none']
_DTYPES = [AUTO, 'bfloat16', 'float16', 'float32']
_METHOD = ('STAR_METHOD', {'forceInput': True})
_OPTIONS = ('STAR_OPTIONS', {'forceInput': True})
_MEMORY = (
    'FLOAT',
    {
        'default': 0.0,
        'min': 0.0,
        'max': 10000.0,
        'step': 0.1,
        'tooltip': 'most memory in GB, for which windows and tiles are chosen '
        'unless they are given; 0: what is free',
    },
)
_SCENES = (
    _CUTS,
    {
        'default': 'auto',
        'tooltip': 'auto: scenes are found and restored apart; none: there '
        'is one',
    },
)


def list_configs() -> list[str]:
    """Return the names of the configs that restore, the default first."""
    paths = config_root().glob('[!_]*/*.py')
    names = {p.stem for p in paths if p.parent.name not in _NO_METHODS}
    return [_DEFAULT, *sorted(names - {_DEFAULT})]


class STARLoadMethod:
    """Loads a method with its weights."""

    TITLE = 'STAR: load method'
    CATEGORY = _CATEGORY
    FUNCTION = 'load'
    RETURN_TYPES = ('STAR_METHOD',)
    RETURN_NAMES = ('method',)
    DESCRIPTION = (
        'Loads a restoration method. The default ships with the package; the '
        'files of others are downloaded once, or taken from `weights`.'
    )

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """Return the widgets."""
        tip = (
            'a word that the config knows (heavy, light), a file or folder, '
            'or its name below models/star; empty: what the config names'
        )
        other = (
            'a published model in place of `config`: hf://OWNER/NAME, a '
            'folder, or its name below models/star'
        )
        return {
            'required': {
                'config': (list_configs(), {'default': _DEFAULT}),
                'weights': ('STRING', {'default': '', 'tooltip': tip}),
                'dtype': (_DTYPES, {'default': AUTO}),
            },
            'optional': {
                'offload': (list(choices.OFFLOADS), {'default': 'none'}),
                'quantize': (list(choices.QUANTIZATIONS), {'default': 'none'}),
                'published': ('STRING', {'default': '', 'tooltip': other}),
            },
        }

    def load(
        self,
        config: str,
        weights: str,
        dtype: str,
        offload: str = 'none',
        quantize: str = 'none',
        published: str = '',
    ) -> tuple[Any]:
        """Load the method; see `load_method`."""
        from star.apis.inference.savings import Savings

        from .method import load_method

        if published.strip():
            config = host.find_published(published.strip())
        chosen = None if dtype == AUTO else dtype
        savings = Savings(offload, quantize)
        return (load_method(config, weights.strip(), chosen, savings),)


class STAROptions:
    """Collects the options that are rarely set."""

    TITLE = 'STAR: more options'
    CATEGORY = _CATEGORY
    FUNCTION = 'collect'
    RETURN_TYPES = ('STAR_OPTIONS',)
    RETURN_NAMES = ('options',)
    DESCRIPTION = (
        "Further options. What is left as it is stays the method's own; what "
        'the method does not know is refused.'
    )

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """Return the widgets."""
        return {'required': describe(MORE)}

    def collect(self, **values: Any) -> tuple[dict[str, Any]]:
        """Return the options that were set."""
        return (collect(values),)


class STARRestore:
    """Restores a batch of images as the frames of one clip."""

    TITLE = 'STAR: restore'
    CATEGORY = _CATEGORY
    FUNCTION = 'restore'
    RETURN_TYPES = ('IMAGE', 'MASK')
    RETURN_NAMES = ('images', 'mask')
    DESCRIPTION = (
        'Restores images that are the frames of one clip. A fourth channel is '
        'opacity and is kept; masks are enlarged.'
    )

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """Return inputs and widgets."""
        return {
            'required': {
                'method': _METHOD,
                'images': ('IMAGE',),
                **describe(USUAL),
                'scenes': _SCENES,
                'memory_gb': _MEMORY,
            },
            'optional': {'mask': ('MASK',), 'options': _OPTIONS},
        }

    def restore(
        self,
        method: Any,
        images: Tensor,
        mask: Tensor | None = None,
        options: dict[str, Any] | None = None,
        **values: Any,
    ) -> tuple[Tensor, Tensor]:
        """Restore the images; see `restore_images`."""
        from .running import Wishes, restore_images

        wishes = Wishes.of(values, options)
        return restore_images(method, images, mask, wishes)


class STARRestoreFile:
    """Restores a file, or all of a folder, frame by frame."""

    TITLE = 'STAR: restore file'
    CATEGORY = _CATEGORY
    FUNCTION = 'restore'
    OUTPUT_NODE = True
    RETURN_TYPES = ('STRING',)
    RETURN_NAMES = ('path',)
    DESCRIPTION = (
        'Restores a video, an image or a folder as `star restore` does, with '
        'sound and times. What is done is kept: after an interruption the '
        'same prompt goes on. The result goes below the folder of outputs.'
    )
    _WIDGETS: ClassVar[dict[str, Any]] = {
        'codec': (
            'STRING',
            {
                'default': '',
                'tooltip': "FFmpeg's name of the encoder; png: folders of "
                'images; empty: H.264, HEVC for deep or HDR sources',
            },
        ),
        'crf': (
            'FLOAT',
            {'default': 17.0, 'min': 0.0, 'max': 63.0, 'step': 0.5},
        ),
        'frames': (
            'INT',
            {
                'default': 0,
                'min': 0,
                'max': 2**31 - 1,
                'tooltip': 'the first so many only; 0: all',
            },
        ),
        'overwrite': ('BOOLEAN', {'default': False}),
    }

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """Return inputs and widgets."""
        source = 'a path, or a name below the folder of inputs'
        result = (
            'name below the folder of outputs; one that ends in / is a '
            "folder, where results keep the source's name"
        )
        return {
            'required': {
                'method': _METHOD,
                'source': ('STRING', {'default': '', 'tooltip': source}),
                'result': ('STRING', {'default': 'star/', 'tooltip': result}),
                **describe(USUAL),
                'scenes': _SCENES,
                'memory_gb': _MEMORY,
                **cls._WIDGETS,
            },
            'optional': {'options': _OPTIONS},
        }

    @classmethod
    def VALIDATE_INPUTS(
        cls, source: str | None = None, result: str | None = None
    ) -> bool | str:
        """Return True, or what is wrong with the paths.

        Args:
            source: None if another node gives it.
            result: as `source`.
        """
        try:
            path = None if source is None else host.find_source(source)
            if result is not None:
                host.find_result(result)
        except ValueError as error:
            return str(error)
        good = path is None or path.exists()
        return good or f'{path}: no such file or folder'

    @classmethod
    def IS_CHANGED(
        cls, source: str | None = None, result: str = '', **values: Any
    ) -> str:
        """Return what changes with the source, or if the result is gone."""
        from .running import fingerprint

        return fingerprint(source, result, values.get('codec', ''))

    def restore(
        self,
        method: Any,
        source: str,
        result: str,
        options: dict[str, Any] | None = None,
        **values: Any,
    ) -> dict[str, Any]:
        """Restore the file; see `restore_source`."""
        from .running import Wishes, restore_source

        wishes = Wishes.of(values, options)
        return restore_source(method, source, result, wishes)


NODES = (STARLoadMethod, STAROptions, STARRestore, STARRestoreFile)
host.register_folder()
