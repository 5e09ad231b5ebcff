"""Building of a model from a config, with its weights."""

import copy
import difflib
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, ConfigDict
from mmengine.model import BaseModule, initialize
from torch import nn
from torch.overrides import TorchFunctionMode

from star.apis.inference.stored_prompts import PROMPTS, with_prompts
from star.models.backbones.i2vgen.checkpoints import load_star_weights
from star.registry import MODELS
from star.utils.paths import config_root
from star.utils.tensor_files import read_state

DEFAULT_CONFIG = 'tiny_compact'  # its weights ship with the package
# width and tokens of a prompt, where a config does not say otherwise
_TEXT_SIZES = {'OpenCLIPTextEncoder': (1024, 77), 'T5TextEncoder': (4096, 226)}


def load_config(config: str | Path | None = None) -> Config:
    """Read a config file.

    Args:
        config: as for `init_model`.

    Raises:
        ValueError: there is no such file, it is broken, or has no `model`.
    """
    path = find_config(DEFAULT_CONFIG if config is None else str(config))
    _see_modules_here()
    try:
        settings = Config.fromfile(path)
    except Exception as error:  # a config is code: anything may go wrong
        raise ValueError(
            f'config {path} cannot be read: {_first_line(_origin(error))}'
        ) from error
    if 'model' not in settings:
        raise ValueError(f'config {path} has no `model`')
    return settings


def _see_modules_here() -> None:
    """Let a config's `custom_imports` find modules in the working folder.

    A command's own folder comes first in `sys.path`, not the user's. The
    working folder is added last, so that no file there hides a package.
    """
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())


def _origin(error: BaseException) -> BaseException:
    """Return the first of the import errors that mmengine wraps."""
    while isinstance(error, ImportError) and error.__context__ is not None:
        error = error.__context__
    return error


def find_config(config: str) -> Path:
    """Find a config by its path or its name.

    Args:
        config: a file, or the name of one in a folder of
            `configs`.

    Raises:
        ValueError: there is no such config.
    """
    if Path(config).is_file():
        return Path(config)
    paths = sorted(config_root().glob('[!_]*/*.py'))
    named = {path.stem: path for path in paths}
    if config in named:
        return named[config]
    hint = _hint(config, named)
    raise ValueError(f'there is no config {config!r}{hint}')


def _hint(config: str, names: Iterable[str]) -> str:
    if config.startswith('hf://'):
        return ': published models are to restore with'
    if Path(config).is_dir():
        return ': the folder has no config.json'
    close = difflib.get_close_matches(config, names, 3)
    return f'; did you mean {" or ".join(close)}?' if close else ''


@contextmanager
def on_meta() -> Iterator[None]:
    """Build modules without memory; files that they load still must fit."""
    with torch.device('meta'), warnings.catch_warnings():
        # torch says of each of their tensors that it comes to nothing
        warnings.filterwarnings('ignore', '.*copying from a non-meta param')
        yield


def build_model(settings: Config) -> nn.Module:
    """Build a config's model with memory reserved but not yet filled.

    Args:
        settings: a config with `model`.

    Raises:
        ValueError: the config names something unknown or a wrong value.
    """
    with _NoInit():
        return _build(settings.model, settings.filename)


def build_with_weights(
    settings: Config, paths: dict[str, Path], partly: bool = False
) -> nn.Module:
    """Build a config's model and load its weights.

    Args:
        settings: a config with `model`.
        paths: a file for each part, as `find_weights` gives them.
        partly: some parts have no file; they are initialised.

    Raises:
        ValueError: as for `build_model`, or a file is damaged or unfit.
    """
    settings = _with_files(settings, paths)
    if partly:
        model = _build(settings.model, settings.filename)
        _initialise(model)
    else:
        model = build_model(settings)
    if not partly or {'asset', 'star'} & paths.keys():
        _load(model, paths)
    return model


def build_part(
    settings: Config, name: str, device: str | torch.device = 'cpu'
) -> nn.Module:
    """Build one part of a config's model; its memory is not filled.

    Args:
        settings: a config with `model`.
        name: of the part, such as 'backbone'.
        device: where to; 'meta' takes no memory: enough to count.

    Raises:
        ValueError: as for `build_model`, or there is no such part.
    """
    if name not in settings.model:
        raise ValueError(f'{settings.filename}: the model has no {name!r}')
    with torch.device(device), _NoInit():
        return _build(settings.model[name], settings.filename)


@torch.no_grad()
def fill_random(model: nn.Module, seed: int = 0) -> None:
    """Fill all parameters in place; signals keep about their size.

    Args:
        model: its initial values do not matter.
        seed: of the numbers; they differ from one kind of device to another.
    """
    first = next(model.parameters(), torch.empty(0))
    kind = 'cpu' if first.is_meta else first.device
    generator = torch.Generator(kind).manual_seed(seed)
    for name, parameter in model.named_parameters():
        parameter.normal_(generator=generator)
        if parameter.ndim > 1:
            parameter.mul_(0.7 * parameter[0].numel() ** -0.5)
        elif name.endswith('weight'):
            parameter.mul_(0.1).add_(1)
        else:
            parameter.mul_(0.05)


def take_random(model: nn.Module) -> None:
    """Fill all parameters as `fill_random` does; they count as loaded.

    Args:
        model: a baseline, or any other.
    """
    fill_random(model)
    model.load_state_dict(model.state_dict())


def without_text(settings: Config) -> Config:
    """Replace a text encoder by one without weights and without tokenizer.

    Args:
        settings: a config with `model`; unchanged. One of a model without a
            text encoder is returned as it is.
    """
    settings = copy.deepcopy(settings)
    encoder = settings.model.get('text_encoder', {})
    if encoder.get('type') in _TEXT_SIZES:
        width, length = _TEXT_SIZES[encoder.type]
        settings.model.text_encoder = {
            'type': 'ConstantTextEncoder',
            'dim': encoder.get('width', width),
            'num_tokens': encoder.get('context_length', length),
        }
    return settings


# transformers puts its functions in the place of torch's
_INITIALISING = ('torch.nn.init', 'transformers.initialization')


class _NoInit(TorchFunctionMode):
    """Skip `torch.nn.init`: memory that is never written costs nothing."""

    def __torch_function__(
        self,
        func: Callable,
        types: Any,
        args: tuple = (),
        kwargs: dict | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, '__module__', None) in _INITIALISING:
            return kwargs['tensor'] if 'tensor' in kwargs else args[0]
        return func(*args, **kwargs)


def _build(config: ConfigDict, filename: str | None) -> nn.Module:
    try:
        return MODELS.build(config)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f'config {filename}: {config.get("type")} cannot be built: '
            f'{_first_line(error)}'
        ) from error


def _initialise(model: nn.Module) -> None:
    """Apply `init_cfg` of parts; the Runner would, over what is loaded."""
    for module in model.modules():
        if isinstance(module, BaseModule) and module.init_cfg:
            initialize(module, module.init_cfg)


def _with_files(settings: Config, paths: dict[str, Path]) -> Config:
    """Enter the paths of files into a copy of a config."""
    settings = copy.deepcopy(settings)
    enter_files(settings, paths)
    return settings


def enter_files(settings: Config, paths: dict[str, Path]) -> None:
    """Enter the files of autoencoder and text into a config.

    Args:
        settings: a config with `model`; changed in place.
        paths: a file for each part, as `find_weights` gives them.
    """
    if 'vae' in paths:
        settings.model.autoencoder.pretrained = str(paths['vae'])
    if 'decoder' in paths:
        decoder = settings.model.autoencoder.decoder
        decoder.pretrained = str(paths['decoder'])
    if PROMPTS in paths:
        with_prompts(settings, paths[PROMPTS])
    if 'text' in paths:
        encoder, path = settings.model.text_encoder, paths['text']
        shards = 'tokenizer' in paths  # with a folder of its own
        encoder.pretrained = str(path.parent if shards else path)
        encoder.tokenizer = str(paths.get('tokenizer', path).parent)


def _load(model: Any, paths: dict[str, Path]) -> None:
    """Load the weights that the parts have not loaded themselves.

    Raises:
        ValueError: no file is for the model itself, or it does not fit.
    """
    main = paths.get('asset', paths.get('star'))
    if main is None:
        if any(True for _ in model.parameters()):
            raise ValueError(
                'the config names no weights for the model: give a file with '
                '`weights`, or the word random'
            )
        return
    if 'asset' in paths or not hasattr(model, 'backbone'):
        model.load_weights(main)
        return
    # on meta they take the file's tensors instead of copying them
    backbone = model.get_submodule('backbone').to('meta')
    controlnet = model.get_submodule('controlnet').to('meta')
    state = read_state(main)
    try:
        load_star_weights(backbone, controlnet, state)
    except ValueError as error:
        reason = _first_line(error)
        raise ValueError(f'{main}: {reason}') from error


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
