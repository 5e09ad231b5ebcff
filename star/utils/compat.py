"""Fixes that let third-party packages work with current versions of others.

Each function states its reason, and changes nothing where the package works.
"""

import importlib
import importlib.util
import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn

import numpy as np
import packaging.version

_CHECKPOINTER = 'pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint'
_libraries: list[Any] = []  # of operators, kept alive on purpose


def require(module: str, extra: str) -> ModuleType:
    """Import an optional dependency.

    Args:
        module: dotted name of the module.
        extra: the extra of this package that installs it, such as 'metrics'.

    Returns:
        The module.

    Raises:
        ImportError: the module is not installed; the message names the
            extra.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        top = module.partition('.')[0]
        if error.name != top:  # the module lacks a dependency of its own
            raise
        raise ImportError(
            f'`{top}` is not installed; it comes with the extra {extra!r}: '
            f'pip install "star-vsr[{extra}]", in a checkout ".[{extra}]"',
            name=top,
        ) from None


def allow_missing_torchvision_operators() -> None:
    """Let torchvision import where its compiled operators are missing.

    On Linux the package index has only the CUDA build of torchvision. With a
    CPU build of torch it cannot load its operators, and its import fails with
    `operator torchvision::nms does not exist`. Nothing here calls these
    operators, so that it is enough to declare them. The function does nothing
    where torchvision is absent or works.
    """
    if _libraries or _is_missing('torchvision'):
        return
    try:
        importlib.import_module('torchvision')
    except RuntimeError as error:
        if 'nms does not exist' not in str(error):
            raise
        _declare_operators()


def _declare_operators() -> None:
    import torch  # takes seconds, and who reads files needs none of it

    library = torch.library.Library('torchvision', 'DEF')
    arguments = '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor'
    library.define('nms' + arguments)
    library.define('qnms' + arguments)
    _libraries.append(library)


@contextmanager
def allow_mmengine_types() -> Iterator[None]:
    """Let `torch.load` read files of mmengine's Runner with `weights_only`.

    They contain a message hub, a deque and the data set's facts, which the
    safe loader refuses. Within the context these types are allowed; all
    others are still refused.
    """
    import torch

    before = torch.serialization.get_safe_globals()
    # those that were allowed before stay so: leaving the context drops types
    new = [kind for kind in mmengine_state_types() if kind not in before]
    with torch.serialization.safe_globals(new):
        yield


@contextmanager
def allow_lightning_types() -> Iterator[None]:
    """Let `torch.load` read files of Lightning's Trainer with `weights_only`.

    Up to version 1.4 a callback's class is the key of its state. The safe
    loader refuses that class; within the context an empty one stands for it,
    so that Lightning is not needed and nothing of it runs.
    """
    import torch

    with torch.serialization.safe_globals([(_Callback, _CHECKPOINTER)]):
        yield


class _Callback:
    """Stands for the class of a callback, as a key."""


def allow_star_configs() -> None:
    """Let a config name ours as its base: `_base_ = 'star::star/tiny.py'`.

    mmengine takes such names from OpenMMLab's own packages only. It looks
    for their folders with `pkg_resources`, which setuptools 82 dropped;
    without it the import system is asked.
    """
    from mmengine.config import config, utils

    utils.MODULE2PACKAGE.setdefault('star', 'star')
    if _is_missing('pkg_resources'):
        config.is_installed = _is_package
        config.get_installed_path = _package_folder


def _is_package(name: str) -> bool:
    return not _is_missing(_module_of(name))


def _package_folder(name: str) -> str:
    spec = importlib.util.find_spec(_module_of(name))
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f'`{name}` is not installed', name=name)
    return str(Path(spec.origin).parent)


def _module_of(distribution: str) -> str:
    from mmengine.config.utils import MODULE2PACKAGE

    modules = {name: module for module, name in MODULE2PACKAGE.items()}
    return modules.get(distribution, distribution)


def mmengine_state_types() -> list[Any]:
    """List what a file of mmengine's Runner holds beside tensors.

    Files of numpy 1 have other names for two functions.
    """
    from mmengine.logging import HistoryBuffer
    from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler

    array: Any = np.zeros(1).__reduce__()[0]  # rebuilds an array
    scalar: Any = np.float64(0).__reduce__()[0]
    return [
        HistoryBuffer,
        OneCycleParamScheduler,
        np.ndarray,
        np.dtype,
        *{type(np.dtype(code)) for code in '?bBhHiIlLqQefdSU'},
        array,
        scalar,
        (array, 'numpy.core.multiarray._reconstruct'),
        (scalar, 'numpy.core.multiarray.scalar'),
        (_as_list, 'collections.deque'),
        (_get_method, 'builtins.getattr'),
    ]


def _as_list(items: Sequence[Any] = (), most: int | None = None) -> list[Any]:
    """Stand for a deque, whose items the safe loader cannot add."""
    return list(items)


def _get_method(owner: Any, name: str) -> Any:
    """Return a method that mmengine pickles by name, and nothing else."""
    from mmengine.logging import HistoryBuffer
    from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler

    names = {
        HistoryBuffer: ('min', 'max', 'current', 'mean'),
        OneCycleParamScheduler: ('_annealing_cos', '_annealing_linear'),
    }
    if owner not in names or name not in names[owner]:
        raise pickle.UnpicklingError(f'{name!r} is not to be read')
    return getattr(owner, name)


def import_mmagic() -> ModuleType:
    """Import `mmagic.models` (8 s), which dates from January 2024.

    Returns:
        The module.

    Raises:
        ImportError: mmagic is not installed.
    """
    require('mmagic', 'baselines')
    allow_missing_torchvision_operators()
    _restore_numpy_bool8()
    _allow_missing_mmcv_operators()
    _restore_diffusers_modules()
    return importlib.import_module('mmagic.models')


def _restore_numpy_bool8() -> None:
    """Restore the alias `np.bool8`, which numpy 2 removed."""
    if not hasattr(np, 'bool8'):
        np.bool8 = np.bool_  # type: ignore[attr-defined]


def _allow_missing_mmcv_operators() -> None:
    """Let `mmcv.ops` import from mmcv-lite, which has no compiled part.

    The loader returns operators that raise when they are called. A stub
    module `mmcv._ext` would be enough for mmcv, but mmengine looks for the
    file of that module.
    """
    if _is_missing('mmcv._ext'):
        from mmcv.utils import ext_loader

        ext_loader.load_ext = _load_missing_extension


def _load_missing_extension(name: str, funcs: list[str]) -> SimpleNamespace:
    return SimpleNamespace(**{func: _missing(func) for func in funcs})


def _missing(operator: str) -> Callable[..., NoReturn]:
    def call(*args: Any, **kwargs: Any) -> NoReturn:
        raise RuntimeError(
            f'`{operator}` is a compiled operator of mmcv; the installed '
            'mmcv-lite has none'
        )

    return call


def _restore_diffusers_modules() -> None:
    """Restore two modules at the places they had in diffusers in 2023."""
    old, new = 'diffusers.models.unet_2d_condition', 'diffusers.models.unets'
    if _is_missing(old):
        sys.modules[old] = importlib.import_module(f'{new}.unet_2d_condition')
    old = 'diffusers.pipelines.paint_by_example'
    if _is_missing(old):
        module = ModuleType(old)
        # mmagic imports this name, but nothing here uses it
        module.PaintByExampleImageEncoder = object  # type: ignore[attr-defined]
        sys.modules[old] = module


def import_pyiqa() -> ModuleType:
    """Import pyiqa, and CLIP's tokenizer where it is installed.

    The tokenizer's package imports `pkg_resources`, which setuptools 82
    dropped, for `packaging` alone. Other packages look for that module, so
    that the stand-in is there only for this import.

    Returns:
        The module.

    Raises:
        ImportError: pyiqa is not installed.
    """
    allow_missing_torchvision_operators()
    pyiqa = require('pyiqa', 'pyiqa')
    if not _is_missing('clip') and _is_missing('pkg_resources'):
        stand_in = ModuleType('pkg_resources')
        stand_in.packaging = packaging  # type: ignore[attr-defined]
        sys.modules['pkg_resources'] = stand_in
        try:
            importlib.import_module('clip')
        finally:
            del sys.modules['pkg_resources']
    return pyiqa


def _is_missing(module: str) -> bool:
    loaded = module in sys.modules
    return not loaded and importlib.util.find_spec(module) is None
