"""Policy for the units of a model that is sharded over GPUs."""

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
    """Return whether a module is a unit that is gathered when it is called.

    The submodules of a unit must not be called from outside of it. Frozen and
    trained parameters belong in different units, because gradients are kept
    for a whole unit or not at all.

    Args:
        module: of the model.
        recurse: True to ask whether to look into the module; always True.
        nonwrapped_numel: number of its parameters that are in no smaller
            unit; not used.
        names: names of the classes of the units.
    """
    return recurse or type(module).__name__ in names
