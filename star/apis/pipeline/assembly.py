"""Taking a STARModel apart into components of diffusers, and back."""

from collections.abc import Mapping
from typing import Any

from star.apis.inference.build import on_meta
from star.apis.pipeline.components import SentencePieces, STARNetwork
from star.apis.pipeline.places import INNER, find_places
from star.apis.pipeline.schedules import schedule_config, scheduler_of
from star.models.layers.lora import merge_lora
from star.models.layers.norm import set_norm_groups
from star.registry import MODELS

NETWORKS = ('transformer', 'unet', 'controlnet')


def take_apart(model: Any, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the components of a model; nothing is copied.

    Args:
        model: a STARModel; its LoRA updates are merged into it.
        settings: from `portable`.
    """
    merge_lora(model)
    found: dict[str, Any] = {
        'scheduler': scheduler_of(settings['schedule']),
        'tokenizer': _tokenizer(model.text_encoder),
    }
    for name, place in find_places(model).items():
        network = model.get_submodule(place.path)
        if place.is_ours:
            part = settings[place.role]
            network = STARNetwork.wrap(place.role, network, part)
        found[name] = network
    return found


def put_together(
    settings: Mapping[str, Any], components: Mapping[str, Any]
) -> Any:
    """Build the model of some components; nothing is copied.

    Args:
        settings: from `portable`.
        components: as `take_apart` gives them; those that are absent or None
            have no tensors.

    Raises:
        ValueError: the scheduler is of a kind that we do not have.
    """
    given = dict(components)
    named = {
        'autoencoder': given.get('vae'),
        'text_encoder': given.get('text_encoder'),
        'backbone': given.get('transformer') or given.get('unet'),
        'controlnet': given.get('controlnet'),
    }
    parts = {
        role: _build(role, settings[role], component)
        for role, component in named.items()
    }
    tokenizer = given.get('tokenizer')
    if tokenizer is not None:
        parts['text_encoder'].tokenizer = tokenizer
    options = {**settings.get('restore_options', {})}
    changed = {
        'schedule': schedule_config(given['scheduler']),
        'restore_options': {k: _hashable(v) for k, v in options.items()},
    }
    return MODELS.build({**settings, **parts, **changed}).eval()


def _build(role: str, config: Mapping, component: Any) -> Any:
    """Build a part of the model around its component."""
    if component is None:
        return MODELS.build(dict(config))
    if isinstance(component, STARNetwork):
        return component
    with on_meta():
        part = MODELS.build(dict(config))
    setattr(part, INNER[role], component)
    if 'norm_groups' in config:  # diffusers' decoder does not keep them
        set_norm_groups(component, config['norm_groups'])
    return part


def _tokenizer(encoder: Any) -> Any:
    """Return the tokenizer as a component; None if there is none."""
    found: Any = getattr(encoder, 'tokenizer', None)
    if hasattr(found, 'serialized_model_proto'):  # of sentencepiece
        return SentencePieces(found.serialized_model_proto())
    return found


def _hashable(value: Any) -> Any:
    """Turn JSON's lists back into tuples."""
    return tuple(value) if isinstance(value, list) else value
