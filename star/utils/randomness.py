"""Follow random numbers into a model's tensors while it is built and loaded.

Whether a tensor came from a file or from a random generator cannot be seen in
its values. So the operations are watched: what a generator draws is random,
what is computed from random numbers is random, what memory is reserved and
not written counts as random as well, and what is overwritten by something
else is not random any more.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

_RESERVING = ('empty', 'new_empty', 'resize_')  # beginnings of names
_OVERWRITING = ('copy_', 'fill_', 'zero_')
# these take only the shape of their argument
_BY_SHAPE = ('zeros_like', 'ones_like', 'full_like', 'new_zeros', 'new_ones')


class RandomTracker(TorchDispatchMode):
    """Watches torch's operations in this thread while it is entered.

    Works on every device, `meta` as well. A tensor of which only a part is
    overwritten stays random.
    """

    def __init__(self) -> None:
        super().__init__()
        # by address; a weak reference keeps the address from being used again
        self._random: dict[int, StorageWeakRef] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Let the first operation not import torch's compiler: 2 s.

        torch asks this of every mode, to keep its compiler out of it. Models
        are not compiled while they are built.
        """
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        inputs = list(_tensors([*args, *kwargs.values()]))
        written = _written(func, args, kwargs)
        out = func(*args, **kwargs)
        name = func._schema.name.partition('::')[2]
        others = [t for t in inputs if not any(t is w for w in written)]
        drawn = (
            torch.Tag.nondeterministic_seeded in func.tags
            or name.startswith(_RESERVING)
            or (name not in _BY_SHAPE and any(map(self.is_random, others)))
        )
        for tensor in written:
            if drawn:
                self._mark(tensor)
            elif name in _OVERWRITING and _is_whole(tensor):
                self._random.pop(_address(tensor), None)
        known = {_address(tensor) for tensor in inputs}
        of_written = any(map(self.is_random, written))
        for tensor in _tensors([out]):
            if _address(tensor) not in known and (drawn or of_written):
                self._mark(tensor)
        return out

    def is_random(self, tensor: Tensor) -> bool:
        """Return whether a tensor holds random numbers, or was never set."""
        found = self._random.get(_address(tensor))
        return found is not None and not found.expired()

    def find_random(self, model: nn.Module) -> set[str]:
        """Return the names of a model's random parameters and buffers."""
        return {
            name
            for name, tensor in named_tensors(model).items()
            if tensor.numel() and self.is_random(tensor)
        }

    def _mark(self, tensor: Tensor) -> None:
        self._random[_address(tensor)] = StorageWeakRef(
            tensor.untyped_storage()
        )


def named_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Collect all parameters and buffers, shared ones under every name."""
    named = (model.named_parameters, model.named_buffers)
    return {k: v for each in named for k, v in each(remove_duplicate=False)}


def _tensors(values: Iterable) -> Iterator[Tensor]:
    """Yield the tensors among arguments, also those in lists."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _written(func: Any, args: tuple, kwargs: Mapping) -> list[Tensor]:
    """List the given tensors that an operation changes in place."""
    found = (
        args[place] if place < len(args) else kwargs.get(name)
        for name, place in _writable(func).items()
    )
    return list(_tensors(found))


@cache
def _writable(func: Any) -> dict[str, int]:
    """Return the names and places of arguments that are changed in place."""
    return {
        argument.name: place
        for place, argument in enumerate(func._schema.arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
    }


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _is_whole(tensor: Tensor) -> bool:
    size = tensor.numel() * tensor.element_size()
    return size >= tensor.untyped_storage().nbytes()
