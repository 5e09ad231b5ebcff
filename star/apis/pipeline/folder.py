"""Folders of pipelines: what must be in them, and their tensors."""

import importlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from star.apis.inference.build import build_model, on_meta
from star.apis.pipeline.places import ComponentPlace, find_places, portable
from star.registry import MODELS
from star.utils.files import read_json
from star.utils.origins import SourceFile, file_of
from star.utils.state_dicts import find_misfits, load_strict
from star.utils.tensor_files import LazyTensor, open_folder

INDEX, PIPELINE = 'model_index.json', 'STARVideoPipeline'
# the only modules whose classes an index may name
_MODULES = ('diffusers', 'transformers', 'star.apis.pipeline.components')
_TIED = 'encoder.embed_tokens.weight'  # of T5: 'shared.weight' again
_STEMS = {'text_encoder': 'model'}
_STEM = 'diffusion_pytorch_model'


def is_pipeline(path: str | Path | None) -> bool:
    """Return whether a path is the folder of a pipeline of any kind."""
    return path is not None and (Path(path).expanduser() / INDEX).is_file()


def read_index(folder: Path) -> dict[str, Any]:
    """Read which components a folder has.

    Args:
        folder: of a pipeline.

    Returns:
        The content of `model_index.json`.

    Raises:
        ValueError: it is no folder of a `STARVideoPipeline`.
    """
    if not folder.is_dir():
        raise ValueError(f'there is no folder {folder}')
    path = folder / INDEX
    if not path.is_file():
        raise ValueError(f'{folder} is no folder of a pipeline: no {INDEX}')
    index = read_json(path)
    name = index.get('_class_name') if isinstance(index, dict) else None
    if name != PIPELINE or not isinstance(index.get('settings'), dict):
        raise ValueError(
            f'{folder} holds {name or "no pipeline"}, not a {PIPELINE}: '
            '`star convert diffusers` makes its folder'
        )
    return index


def check_folder(
    folder: Path, given: Collection[str] = (), variant: str | None = None
) -> torch.dtype:
    """Refuse a folder of which a component is missing or does not fit.

    Args:
        folder: of a pipeline.
        given: names of components that are not taken from it.
        variant: of the files; with one, names and shapes of tensors are not
            compared.

    Returns:
        The dtype of the text encoder.

    Raises:
        ValueError: in one line, what is wrong.
    """
    index = read_index(folder)
    for name, entry in index.items():
        if name not in given and isinstance(entry, list):
            _check_entry(folder, name, entry)
    model = make_empty(index['settings'])
    for name, place in find_places(model).items():
        if name in given:
            continue
        if index.get(name, [None])[0] is None:
            raise ValueError(f'{folder / INDEX} names no {name}')
        if variant is None:
            tensors = open_component(folder, name)
            check_tensors(model, place, tensors, folder / name)
    tower = getattr(model.text_encoder, 'tower', None)
    return torch.float32 if tower is None else tower.dtype


def make_empty(settings: Mapping[str, Any]) -> Any:
    """Build the model of some settings without memory.

    Raises:
        ValueError: they are no settings of a STARModel.
    """
    try:
        with on_meta():
            return MODELS.build(dict(settings))
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(
            f'`settings` of the pipeline are damaged: {error}'
        ) from error


def open_component(folder: Path, name: str) -> dict[str, LazyTensor]:
    """List the tensors of a component.

    Args:
        folder: of the pipeline.
        name: of the component.

    Raises:
        ValueError: a file is missing or damaged.
    """
    return open_folder(folder / name, _STEMS.get(name, _STEM))


def check_tensors(
    model: Any,
    place: ComponentPlace,
    tensors: Mapping[str, LazyTensor],
    source: object,
) -> None:
    """Refuse tensors that are not all of a component's.

    Raises:
        ValueError: naming the first that are missing, unknown or of another
            shape.
    """
    own = place.tensors(model)
    needed = own.keys() - ({_TIED} if 'shared.weight' in own else set())
    misfits = find_misfits(own, tensors, needed)
    if misfits:
        raise ValueError(f'{source} does not fit {place.role}: {misfits}')


def read_pipeline_config(folder: str | Path) -> Config:
    """Return the config of the model of a pipeline's folder.

    Raises:
        ValueError: as for `read_index`.
    """
    folder = Path(folder).expanduser()
    return _with_tokenizer(read_index(folder)['settings'], folder)


def load_folder(config: Config, folder: str | Path) -> Any:
    """Build a model with the weights of a pipeline's folder.

    Args:
        config: of the model, such as `read_pipeline_config` gives it.
        folder: of the pipeline.

    Returns:
        The STARModel, without LoRA.

    Raises:
        ValueError: as for `check_folder`, or the folder does not fit.
    """
    folder = Path(folder).expanduser()
    check_folder(folder)
    settings = portable(config.model)
    model: Any = build_model(_with_tokenizer(settings, folder))
    for name, place in find_places(model).items():
        tensors = open_component(folder, name)
        check_tensors(model, place, tensors, folder / name)
        own = {
            key.removeprefix(place.own_prefix): tensor.read()
            for key, tensor in tensors.items()
        }
        if 'shared.weight' in own:
            own.setdefault(_TIED, own['shared.weight'])
        load_strict(model.get_submodule(place.path), own, folder / name)
    return model


def describe_folder(model: Any, folder: str | Path) -> list[SourceFile]:
    """Describe the files that a model was loaded from.

    Args:
        model: from `load_folder`.
        folder: of the pipeline.
    """
    folder = Path(folder).expanduser()
    return [
        file_of(name, path, [f'{place.path}.'])
        for name, place in find_places(model).items()
        for path in sorted((folder / name).glob('*.safetensors'))
    ]


def _with_tokenizer(settings: Mapping[str, Any], folder: Path) -> Config:
    """Make a config of a model that reads a folder's tokenizer."""
    model, tokenizer = dict(settings), folder / 'tokenizer'
    if tokenizer.is_dir():
        encoder = {**model['text_encoder'], 'tokenizer': str(tokenizer)}
        model['text_encoder'] = encoder
    named = {'model': model, 'config_name': folder.name}
    return Config(named, filename=str(folder / INDEX))


def _check_entry(folder: Path, name: str, entry: list) -> None:
    """Refuse a component that is missing, or that other code would make."""
    module, kind = (*entry, None, None)[:2]
    if module is None:
        return
    known = module in _MODULES and hasattr(
        importlib.import_module(module), str(kind)
    )
    inside = folder / name
    if not known or any(inside.glob('*.py')):
        raise ValueError(
            f'{folder / INDEX}: `{name}` is {kind} of {module}, which is no '
            'component of ours, of diffusers or of transformers; nothing of '
            'it is run'
        )
    if not inside.is_dir():
        raise ValueError(f'{folder} has no {name}, a component of it')
