"""The config and the places of tensors that a pipeline keeps of a model."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn

ROLES = ('autoencoder', 'text_encoder', 'backbone', 'controlnet')
# what in a part is diffusers' or transformers' own network
INNER = {'autoencoder': 'vae', 'text_encoder': 'tower'}
# of a training, or of the files that a model was loaded from
_NOT_KEPT = frozenset(
    (
        'losses',
        'frozen',
        'lora',
        'checkpointing',
        'pretrained',
        'tokenizer',
        'init',
        'init_cfg',
    )
)


class ComponentPlace(NamedTuple):
    """The place of a component's tensors in a model.

    Attributes:
        role: part of the model.
        path: dotted name of the component's network in the model.
    """

    role: str
    path: str

    @property
    def is_ours(self) -> bool:
        """Return whether the component is a network of ours."""
        return self.path == self.role

    @property
    def own_prefix(self) -> str:
        """Return what the component puts before its network's names."""
        return f'{self.role}.' if self.is_ours else ''

    def tensors(self, model: Any) -> dict[str, Tensor]:
        """Return the tensors of the component by its own names."""
        state = model.get_submodule(self.path).state_dict()
        return {self.own_prefix + name: t for name, t in state.items()}


def find_places(model: Any) -> dict[str, ComponentPlace]:
    """Return where the components that have tensors are in a model.

    Args:
        model: a STARModel; its tensors may be on meta.
    """
    found = {}
    for role in ROLES:
        part = model.get_submodule(role)
        if part.state_dict():
            inner = INNER.get(role, '')
            inside = isinstance(getattr(part, inner, None), nn.Module)
            path = f'{role}.{inner}' if inside else role
            found[_component(part, role)] = ComponentPlace(role, path)
    return found


def _component(part: nn.Module, role: str) -> str:
    """Name the component of a part, as diffusers' pipelines do."""
    if role == 'autoencoder':
        return 'vae'
    if role != 'backbone':
        return role
    return 'transformer' if hasattr(part, 'transformer') else 'unet'


def portable(model: Mapping) -> dict[str, Any]:
    """Return what a config says of a model, without files and training.

    Args:
        model: config of a STARModel.

    Raises:
        ValueError: the config is of another class, or JSON cannot hold it.
    """
    missing = [name for name in (*ROLES, 'schedule') if name not in model]
    if missing:
        raise ValueError(
            f'a pipeline needs a STARModel, and {model.get("type")} has no '
            f'{missing[0]}'
        )
    try:
        return json.loads(json.dumps(_kept(model)))
    except TypeError as error:
        raise ValueError(f'the config cannot be saved: {error}') from error


def _kept(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _kept(v) for k, v in value.items() if k not in _NOT_KEPT}
    return value
