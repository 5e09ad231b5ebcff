"""A convolution that stays float32 where its network does not."""

from collections.abc import Callable

from torch import Tensor, nn


class Float32Conv2d(nn.Conv2d):
    """Keeps its weights in float32 when its network's become half precision.

    For what reads pixels and writes them: bfloat16 has 8 bits of precision,
    as many as a pixel. Other changes of place and type are followed.
    """

    def _apply(
        self, fn: Callable[[Tensor], Tensor], recurse: bool = True
    ) -> 'Float32Conv2d':
        def keep(x: Tensor) -> Tensor:
            moved = fn(x)
            less = moved.is_floating_point() and moved.itemsize < 4
            return x.to(moved.device).float() if less else moved

        super()._apply(keep, recurse)
        return self
