"""`ShapeRun`: runs code on tensors without content, and counts their bytes."""

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map_only

from star.utils.memory_counter import MemoryCounter

_META = torch.device('meta')
_REAL = 2**14  # elements: smaller tables keep their numbers, which code reads
_SMALL_INPUT, _SMALL_KERNEL = 20480, 27  # elements
_CONVOLVES = (
    *('conv1d', 'conv2d', 'conv3d', 'convolution', 'mkldnn_convolution'),
)
_OTHER_DTYPE = (  # elementwise, with results of a dtype of their own
    *('eq', 'ne', 'lt', 'le', 'gt', 'ge', 'logical_not', 'logical_and'),
    *('logical_or', 'logical_xor', 'isnan', 'isinf', 'signbit'),
    *('_to_copy', 'copy', 'copy_', 'complex', 'polar', 'angle'),
)
_Model = TypeVar('_Model', bound=nn.Module)


class ShapeRun(MemoryCounter):
    """Counts the bytes of tensors while code runs that computes no numbers.

    Tensors without content lie on the meta device; whatever is made of one is
    another. Small tables that are made of numbers alone stay real, so that
    code can read them. A number that is read from a tensor without content
    is 0.

    It needs far less time than torch's FakeTensorMode, whose start takes
    seconds.

    Args:
        on_gpu: count what lies on the device alone; without it, memory of
            device and host are the same.

    Attributes:
        held: largest `now` so far; `peak` has what operations take inside.
    """

    def __init__(self, on_gpu: bool = False) -> None:
        super().__init__()
        self.on_gpu, self.held = on_gpu, 0
        self._on_host: set[int] = set()
        self._pretence = None if on_gpu else _PretendCPU()

    def __enter__(self) -> 'ShapeRun':
        if self._pretence is not None:
            self._pretence.__enter__()
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        if self._pretence is not None:
            self._pretence.__exit__(*error)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch imports its compiler, which takes seconds

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple = (),
        kwargs: dict | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        tensors = [
            leaf
            for leaf in tree_leaves((args, kwargs))
            if isinstance(leaf, Tensor)
        ]
        empty = [tensor for tensor in tensors if tensor.is_meta]
        if func is torch.ops.aten._local_scalar_dense.default and empty:
            return 0
        if not tensors:
            out, host = _make(func, args, kwargs)
        elif not empty:
            out, host = func(*args, **kwargs), False
        else:
            host = all(self._is_on_host(tensor) for tensor in empty)
            out, host = self._compute(func, args, kwargs, host)
        given = {tensor.untyped_storage()._cdata for tensor in tensors}
        for leaf in tree_leaves(out):
            if not isinstance(leaf, Tensor):
                continue
            if leaf.untyped_storage()._cdata not in given:
                self._add_to(leaf, host)
        name = func.overloadpacket.__name__
        if not self.on_gpu and name in _CONVOLVES:
            self.add_transient(_inside(name, tensors[0], tensors[1], out))
        self.held = max(self.held, self.now)
        return out

    def add_transient(self, size: int, held: int = 0) -> None:
        """Count bytes that live only now.

        Args:
            size: bytes.
            held: those that are of tensors, not inside of operations.
        """
        self.peak = max(self.peak, self.now + size)
        self.held = max(self.held, self.now + held)

    def _compute(
        self, func: Any, args: tuple, kwargs: dict, host: bool
    ) -> tuple[Any, bool]:
        """Compute shapes; return the result, and whether it is on the host."""
        args, kwargs = tree_map_only(Tensor, _emptied, (args, kwargs))
        name = func.overloadpacket.__name__
        if name in ('to', '_to_copy'):
            return self._move(func, args, kwargs, host)
        out = _QUICK[name](*args) if name in _QUICK else None
        if out is None:
            out = _pointwise(func, args, kwargs)
        if out is None:
            if 'device' in kwargs:
                target = kwargs['device']
                host = target is not None and target.type == 'cpu'
                kwargs['device'] = _META
            out = func(*args, **kwargs)
        if name in _CONVOLVES and _channels_last(args[0], args[1]):
            out = out.contiguous(memory_format=torch.channels_last)
        return out, host

    def _move(
        self, func: Any, args: tuple, kwargs: dict, host: bool
    ) -> tuple[Any, bool]:
        """Convert and move a tensor between device and host."""
        given = [*args[1:], *kwargs.values()]
        old = args[0]
        dtype, goes = old.dtype, host
        for value in given:
            if isinstance(value, torch.dtype):
                dtype = value
            elif isinstance(value, torch.device):
                goes = value.type == 'cpu'
            elif isinstance(value, Tensor):
                dtype = value.dtype
        stays = not self.on_gpu or goes == host
        copies = func.overloadpacket.__name__ == '_to_copy'
        if stays and dtype == old.dtype and not copies:
            return old.detach(), host
        return torch.empty_like(old, dtype=dtype), goes

    def _is_on_host(self, tensor: Tensor) -> bool:
        return tensor.untyped_storage()._cdata in self._on_host

    def _add_to(self, tensor: Tensor, host: bool) -> None:
        storage = tensor.untyped_storage()
        if not self.on_gpu:
            self._add(storage)
        elif host or not tensor.is_meta:
            if storage._cdata not in self._sizes:
                self._on_host.add(storage._cdata)
        else:
            self._on_host.discard(storage._cdata)
            self._add(storage)


class _PretendCPU(TorchFunctionMode):
    """Names the CPU as the device of tensors without content.

    So code takes the ways that it has for a CPU.
    """

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple = (),
        kwargs: dict | None = None,
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        if isinstance(found, torch.device) and found == _META:
            return torch.device('cpu')
        return found


def without_content(model: _Model) -> _Model:
    """Return a copy of a model whose tensors have shapes only.

    Args:
        model: unchanged.

    Returns:
        A copy that takes hardly any memory; small tables keep their numbers.
    """
    memo: dict[int, Any] = {}
    for parameter in model.parameters():
        empty = torch.empty_like(parameter, device=_META)
        memo[id(parameter)] = nn.Parameter(empty, parameter.requires_grad)
    for buffer in model.buffers():
        if buffer.numel() > _REAL:
            memo[id(buffer)] = torch.empty_like(buffer, device=_META)
    return copy.deepcopy(model, memo)


def _pointwise(func: Any, args: tuple, kwargs: dict) -> Tensor | None:
    """Return the result of an elementwise operation; None if it is another.

    torch's own rules for the meta device are written in Python and take a
    millisecond or two for each operation.
    """
    name = func.overloadpacket.__name__
    if torch.Tag.pointwise not in func.tags or name in _OTHER_DTYPE or kwargs:
        return None
    tensors = [a for a in args if isinstance(a, Tensor)]
    first = tensors[0]
    if not first.is_floating_point() or any(
        t.dtype != first.dtype for t in tensors
    ):
        return None
    if name.endswith('_'):
        return first
    shape = torch.broadcast_shapes(*(t.shape for t in tensors))
    for tensor in tensors:
        if tensor.shape == shape:
            return torch.empty_like(tensor)
    return first.new_empty(shape)


def _inside(name: str, x: Tensor, weight: Tensor, out: Tensor) -> int:
    """Return the bytes that a convolution takes inside, on a CPU.

    oneDNN reorders the input, unless the channels are last. Small inputs do
    not go there (`use_mkldnn` in torch's Convolution.cpp) unless they are
    made to: they are unfolded for a product of matrices.
    """
    kernel = weight[0, 0].numel()
    chosen = name != 'mkldnn_convolution'
    small = chosen and math.prod(x.shape[:4]) <= _SMALL_INPUT
    if x.ndim == 5 and len(x) == 1 and small and 1 < kernel <= _SMALL_KERNEL:
        return weight[0].numel() * out[0, 0].numel() * x.element_size()
    if _channels_last(x, weight):
        last = x.is_contiguous(memory_format=torch.channels_last)
        return 0 if last else x.nbytes
    return x.nbytes + weight.nbytes


def _channels_last(*tensors: Tensor) -> bool:
    """Return whether a convolution of images computes with channels last."""
    return tensors[0].ndim == 4 and any(
        tensor.is_contiguous(memory_format=torch.channels_last)
        and not tensor.is_contiguous()
        for tensor in tensors
    )


def _resized(x: Tensor, size: Sequence[int] | None, *rest: Any) -> Any:
    """Return the result of an interpolation of images."""
    if size is None:
        size = [int(n * s) for n, s in zip(x.shape[2:], rest[-1], strict=True)]
    out = x.new_empty((*x.shape[:2], *size))
    last = x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)
    return out.contiguous(memory_format=torch.channels_last) if last else out


def _attended(query: Tensor, key: Tensor, value: Tensor, *_: Any) -> Tensor:
    """Return the result of attention, whose kernels keep no scores."""
    return query.new_empty((*query.shape[:-1], value.shape[-1]))


def _convolved(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    *sizes: Any,
) -> Tensor:
    """Return the result of oneDNN's convolution."""
    padding, stride, dilation, groups = sizes
    order = stride, padding, dilation
    none = [0] * len(stride)
    return torch.convolution(x, weight, bias, *order, False, none, groups)


def _linear(x: Tensor, weight: Tensor, *_: Any) -> Tensor:
    return x.new_empty((*x.shape[:-1], len(weight)))


def _like(x: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(x)


# torch's own rules of these take milliseconds
_QUICK: dict[str, Callable[..., Tensor]] = {
    'scaled_dot_product_attention': _attended,
    'upsample_bicubic2d': _resized,
    'upsample_bilinear2d': _resized,
    'upsample_nearest2d': _resized,
    'linear': _linear,
    'mkldnn_convolution': _convolved,
    'group_norm': _like,
    'layer_norm': _like,
    'batch_norm': _like,
}


def _make(func: Callable, args: tuple, kwargs: dict) -> tuple[Any, bool]:
    """Make a tensor of no other; a large one has no content."""
    device = kwargs.get('device')
    host = device is None or device.type == 'cpu'
    shape = args[0] if args and isinstance(args[0], Sequence) else ()
    if host and math.prod(shape) <= _REAL:
        return func(*args, **kwargs), host
    if 'generator' not in kwargs:
        return func(*args, **{**kwargs, 'device': _META}), host
    dtype = kwargs.get('dtype')  # random numbers
    return torch.empty(shape, dtype=dtype, device=_META), host


def _emptied(tensor: Tensor) -> Tensor:
    return tensor if tensor.is_meta else tensor.to(_META)
