"""Count the memory of tensors while some work runs, also without content."""

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class MemoryCounter(TorchDispatchMode):
    """Counts the bytes of all tensors that the body makes, while they live.

    Views of tensors from before, such as a weight's transpose, are not
    counted. Tensors have no content: reading a whole number gives 0, reading
    another 1.

    Attributes:
        now: bytes that live now.
        peak: largest `now` so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._sizes: dict[int, int] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch wraps each operation for its compiler

    def __torch_dispatch__(
        self,
        func: Callable,
        types: Any,
        args: tuple = (),
        kwargs: dict | None = None,
    ) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            # random windows lie at the start, and noise is divided by
            return 1.0 if args[0].is_floating_point() else 0
        kwargs = kwargs or {}
        given = {storage._cdata for storage in _storages((args, kwargs))}
        out = func(*args, **kwargs)
        for storage in _storages(out):
            if storage._cdata not in given:
                self._add(storage)
        return out

    def _add(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._sizes:
            return
        self._sizes[key] = storage.nbytes()
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._remove, key)

    def _remove(self, key: int) -> None:
        self.now -= self._sizes.pop(key, 0)


def _storages(values: Any) -> list[torch.UntypedStorage]:
    """List the memory of all tensors in nested values."""
    return [
        leaf.untyped_storage()
        for leaf in tree_leaves(values)
        if isinstance(leaf, Tensor)
    ]


def empty_tensors(model: nn.Module, dtype: torch.dtype | None = None) -> None:
    """Replace all tensors by new ones of the same shape, without content.

    Under torch's FakeTensorMode they take no memory, and the model computes
    shapes alone.

    Args:
        model: built on the meta device; changed in place.
        dtype: of the floating-point tensors; None for their own.
    """
    for module in model.modules():
        for name, old in module.named_parameters(recurse=False):
            empty = torch.empty(old.shape, dtype=dtype or old.dtype)
            setattr(module, name, nn.Parameter(empty, old.requires_grad))
        for name, buffer in module.named_buffers(recurse=False):
            empty = torch.empty(buffer.shape, dtype=buffer.dtype)
            setattr(module, name, empty)
