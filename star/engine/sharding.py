"""What is sharded as one piece when a model is shared out over GPUs."""

from collections.abc import Sequence

from torch import nn

from star.registry import STOCK


@STOCK['FUNCTIONS'].register_module()
def wrap_by_class(
    module: nn.Module,
    recurse: bool,
    nonwrapped_numel: int,
    names: Sequence[str] = (),
) -> bool:
    """Tell whether a module is a piece of its own: gathered when it is called.

    A piece's submodules must not be called from outside of it. Frozen and
    trained parameters belong in different pieces: what is trained decides
    for which of a piece's parameters gradients are kept.

    Args:
        module: of the model.
        recurse: asked whether to look into it, which is always so.
        nonwrapped_numel: its parameters that are in no smaller piece.
        names: classes of the pieces.
    """
    return recurse or type(module).__name__ in names
