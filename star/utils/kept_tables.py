"""`kept`: computes a table once, apart for runs on shapes alone."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec

from torch import Tensor
from torch.utils._python_dispatch import _get_current_dispatch_mode

_Arguments = ParamSpec('_Arguments')
_KEPT = 4  # tables of each function


def kept(make: Callable[_Arguments, Tensor]) -> Callable[_Arguments, Tensor]:
    """Let a function keep its last results.

    While shapes or operations are counted, tables may have no content: such
    a run, known by the innermost of its modes, has tables of its own.

    Args:
        make: its arguments can be hashed.
    """

    @lru_cache(maxsize=_KEPT)
    def make_for(
        mode: object, *args: _Arguments.args, **kwargs: _Arguments.kwargs
    ) -> Tensor:
        return make(*args, **kwargs)

    @wraps(make)
    def call(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> Tensor:
        mode = _get_current_dispatch_mode()
        # typing does not know that they can be hashed
        return make_for(mode, *args, **kwargs)  # type: ignore[arg-type]

    return call
