"""Files of weights to a pipeline's folder, tensor by tensor, and back."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.config import Config
from torch import Tensor

from star.apis.inference.build import on_meta
from star.apis.inference.held import is_checkpoint
from star.apis.inference.load import Source, load_model
from star.apis.inference.network_size import refuse_other_size
from star.apis.inference.weights import RANDOM, find_weights
from star.apis.pipeline.assembly import take_apart
from star.apis.pipeline.components import save_tokenizer
from star.apis.pipeline.folder import (
    check_folder,
    check_tensors,
    make_empty,
    open_component,
    read_index,
)
from star.apis.pipeline.pipeline import STARVideoPipeline
from star.apis.pipeline.places import find_places, portable
from star.models.backbones.cogvideox.checkpoints import convert, open_weights
from star.models.backbones.i2vgen.checkpoints import (
    network_state,
    star_state,
    to_official,
)
from star.models.layers.lora import merge_lora, merge_update
from star.models.text_encoders.open_clip import name_text_tensors
from star.registry import MODELS
from star.utils.files import atomic_folder
from star.utils.tensor_files import (
    LazyTensor,
    held,
    open_folder,
    open_safetensors,
    read_state,
    write_safetensors,
)

Tensors = Mapping[str, LazyTensor]
_A, _B = '.lora.a', '.lora.b'


def write_pipeline(
    config: Config,
    weights: str | Path | None,
    folder: Path,
    overwrite: bool = False,
) -> int:
    """Write the folder of a pipeline; it appears when it is complete.

    Args:
        config: of a STARModel.
        weights: as for `init_model`; official files of STAR on CogVideoX are
            converted on the way.
        folder: to write.
        overwrite: replace the folder if it exists.

    Returns:
        The number of tensors.

    Raises:
        ValueError: something is missing or does not fit.
        OSError: the folder cannot be written.
    """
    settings = portable(config.model)
    tensors, tokenizer = _open_all(config, settings, weights)
    model = make_empty(settings)
    if tokenizer is not None:
        model.text_encoder.tokenizer = tokenizer
    components = take_apart(model, settings)
    pipe = STARVideoPipeline(settings=settings, **components)
    count = 0
    with atomic_folder(folder, overwrite) as temporary:
        for name, place in find_places(model).items():
            start = place.path + '.'
            names = [key for key in tensors if key.startswith(start)]
            prefix = '' if place.is_ours else start
            own = {key.removeprefix(prefix): tensors[key] for key in names}
            check_tensors(model, place, own, weights or 'the config')
            _write_component(temporary / name, components[name], own)
            count += len(own)
        components['scheduler'].save_pretrained(temporary / 'scheduler')
        if tokenizer is not None:
            found = components['tokenizer']
            save_tokenizer(found, temporary / 'tokenizer')
        pipe.save_config(temporary)
    return count


def write_back(folder: Path, dst: Path, official: bool = False) -> int:
    """Write the networks of a pipeline's folder as one file.

    Autoencoder and text encoder are not in it: theirs are the files that are
    published, and lie in the folder.

    Args:
        folder: of the pipeline.
        dst: the file, replaced if it exists.
        official: name tensors as the official STAR on I2VGen-XL.

    Returns:
        The number of tensors.

    Raises:
        ValueError: something is missing or does not fit, or there are no
            official names.
        OSError: the file cannot be written.
    """
    check_folder(folder)
    settings = read_index(folder)['settings']
    found: dict[str, LazyTensor] = {}
    for name, place in find_places(make_empty(settings)).items():
        if place.is_ours:
            found |= open_component(folder, name)
    if official:
        kind = settings['backbone']['type']
        if kind != 'I2VGenUNet':
            raise ValueError(f'there are no official names for {kind}')
        state = {name: tensor.read() for name, tensor in found.items()}
        found = {k: held(t) for k, t in to_official(state).items()}
    write_safetensors(dst, found, None)
    return len(found)


def _open_all(
    config: Config, settings: Mapping[str, Any], weights: str | Path | None
) -> tuple[dict[str, LazyTensor], Any]:
    """Open all tensors by their names in the model; find the tokenizer."""
    random = weights is None and config.get('weights', {}).get('random')
    if random or str(weights) == RANDOM or _is_whole(weights):
        return _open_model(config, weights)
    paths = find_weights(config.get('weights', {}), weights)
    main = paths.get('asset', paths.get('star'))
    if main is None:
        raise ValueError('the config names no weights for the model')
    refuse_other_size(config, main)
    model = make_empty(settings)
    scale = (config.model.backbone.get('lora') or {}).get('alpha', 1)
    found = _open_networks(main, model, 'asset' in paths)
    found = merge_updates(found, scale)
    if 'vae' in paths:
        state = open_safetensors(paths['vae'])
        found |= {f'autoencoder.vae.{k}': t for k, t in state.items()}
    if 'text' not in paths:
        return found, None
    found |= _open_text(model.text_encoder, paths['text'])
    return found, _read_tokenizer(settings, paths)


def _open_model(
    config: Config, weights: str | Path | None
) -> tuple[dict[str, LazyTensor], Any]:
    """Load a model as a whole, where its weights are no published files."""
    model: Any = load_model(config, Source(None, weights))
    merge_lora(model)
    state = {k: held(t.contiguous()) for k, t in model.state_dict().items()}
    return state, getattr(model.text_encoder, 'tokenizer', None)


def _open_networks(path: Path, model: Any, whole: bool) -> Tensors:
    """Open the tensors of backbone and ControlNet by our names."""
    if whole:
        return {k: held(t) for k, t in read_state(path).items()}
    if hasattr(model.backbone, 'transformer'):
        found = open_weights(path)
        if any(name.startswith('backbone.') for name in found):
            return found
        return convert(found).tensors
    expected = network_state(model.backbone, model.controlnet)
    try:
        state = star_state(read_state(path), expected)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error
    return {name: held(tensor) for name, tensor in state.items()}


def merge_updates(tensors: Tensors, alpha: float) -> dict[str, LazyTensor]:
    """Merge LoRA of ours into the weights, when they are read.

    Args:
        tensors: by our names; those of LoRA end with '.lora.a' and
            '.lora.b'.
        alpha: strength of LoRA.
    """
    found = {k: t for k, t in tensors.items() if not k.endswith((_A, _B))}
    for name in tensors:
        if name.endswith(_A):
            layer = name.removesuffix(_A)
            weight = f'{layer}.weight'
            three = found[weight], tensors[name], tensors[layer + _B]
            found[weight] = LazyTensor(
                three[0].shape, partial(_merged, *three, alpha)
            )
    return found


def _merged(
    weight: LazyTensor, a: LazyTensor, b: LazyTensor, alpha: float
) -> Tensor:
    old, scale = weight.read(), alpha / a.shape[0]
    return merge_update(old, a.read(), b.read(), scale).to(old.dtype)


def _open_text(encoder: Any, path: Path) -> dict[str, LazyTensor]:
    """Open the tensors of a text encoder by our names."""
    if path.name.startswith('model-'):  # shards
        state = open_folder(path.parent, 'model')
        return {f'text_encoder.tower.{k}': t for k, t in state.items()}
    found = open_safetensors(path)
    if 'shared.weight' in found:
        return {f'text_encoder.tower.{k}': t for k, t in found.items()}
    read = {name: tensor.read() for name, tensor in found.items()}
    named = name_text_tensors(encoder, read)
    return {f'text_encoder.{k}': held(t) for k, t in named.items()}


def _read_tokenizer(
    settings: Mapping[str, Any], paths: Mapping[str, Path]
) -> Any:
    """Read the tokenizer as the text encoder does, without weights."""
    folder = paths.get('tokenizer', paths['text']).parent
    encoder = {**settings['text_encoder'], 'tokenizer': str(folder)}
    with on_meta():
        return MODELS.build(encoder).tokenizer


def _write_component(folder: Path, component: Any, tensors: Tensors) -> None:
    """Write a component's config and tensors in its library's form."""
    folder.mkdir()
    if hasattr(component, 'save_config'):  # diffusers, and ours
        component.save_config(folder)
        stem = 'diffusion_pytorch_model'
    else:
        component.config.architectures = [type(component).__name__]
        component.config.save_pretrained(folder)
        stem = 'model'
    write_safetensors(folder / f'{stem}.safetensors', tensors, None)


def _is_whole(weights: str | Path | None) -> bool:
    return weights is not None and is_checkpoint(weights)
