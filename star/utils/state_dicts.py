"""Compare the tensors of a file with a model's, and load them strictly."""

from collections.abc import Mapping, Set
from typing import Protocol

from torch import Tensor, nn

_SHOWN = 3  # names that a message lists
# what wrappers for training put into the names of parameters
_WRAPPERS = ('_fsdp_wrapped_module.', '_checkpoint_wrapped_module.')


class HasShape(Protocol):
    """A tensor, or something that stands for one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its sides."""


def clean_name(name: str) -> str:
    """Return a tensor's name in the model without wrappers inside."""
    for wrapper in _WRAPPERS:
        name = name.replace(wrapper, '')
    return name


def load_strict(
    module: nn.Module, state: Mapping[str, Tensor], source: object
) -> None:
    """Load a state dict that must fit a module exactly.

    Args:
        module: keeps its dtype and device; on meta it takes the tensors
            themselves, so that nothing is held twice.
        state: tensors by name.
        source: where they come from, for the message.

    Raises:
        ValueError: tensors are missing, unknown or of another shape; one
            line names them.
    """
    misfits = find_misfits(module.state_dict(), state)
    if misfits:
        kind = type(module).__name__
        raise ValueError(f'{source} does not fit {kind}: {misfits}')
    on_meta = any(tensor.is_meta for tensor in module.parameters())
    module.load_state_dict(state, strict=True, assign=on_meta)


def find_misfits(
    own: Mapping[str, HasShape],
    given: Mapping[str, HasShape],
    needed: Set[str] | None = None,
) -> str:
    """Describe how given tensors do not fit a model.

    Args:
        own: the model's tensors by name.
        given: what is to be loaded.
        needed: names that must be given; None for all of `own`.

    Returns:
        How many tensors are missing, unknown or of another shape, with the
        first names of each; empty where all fit.
    """
    needed = own.keys() if needed is None else needed
    reshaped = {
        f'{name} is {tuple(given[name].shape)} not {tuple(own[name].shape)}'
        for name in own.keys() & given.keys()
        if tuple(own[name].shape) != tuple(given[name].shape)
    }
    found = describe_misfits(needed - given.keys(), given.keys() - own.keys())
    shapes = _listed(reshaped, 'of another shape')
    return ', '.join(filter(None, [found, shapes]))


def describe_misfits(missing: Set[str], unknown: Set[str]) -> str:
    """Count names that are missing or unknown, and list the first ones.

    Returns:
        One line, empty where both are empty.
    """
    found = [_listed(missing, 'missing'), _listed(unknown, 'unknown')]
    return ', '.join(filter(None, found))


def _listed(names: Set[str], trait: str) -> str:
    if not names:
        return ''
    shown = ', '.join(sorted(names)[:_SHOWN])
    more = ', ...' if len(names) > _SHOWN else ''
    return f'{len(names)} {trait} ({shown}{more})'
