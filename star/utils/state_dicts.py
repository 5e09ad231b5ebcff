"""Tensors by name: whether they are those of a model."""

from collections.abc import Mapping, Set

from torch import Tensor


def find_misfits(
    own: Mapping[str, Tensor],
    given: Mapping[str, Tensor],
    needed: Set[str] | None = None,
) -> str:
    """Tell how given tensors do not fit a model.

    Args:
        own: the model's tensors by name.
        given: what is to be loaded.
        needed: names that must be given; None for all of `own`.

    Returns:
        How many tensors are missing, unknown or of another shape, with the
        first name of each; empty where all fit.
    """
    needed = own.keys() if needed is None else needed
    problems = {
        'missing': needed - given.keys(),
        'unknown': given.keys() - own.keys(),
        'of another shape': {
            name
            for name in own.keys() & given.keys()
            if own[name].shape != given[name].shape
        },
    }
    return ', '.join(
        f'{len(names)} {what} ({min(names)} ...)'
        for what, names in problems.items()
        if names
    )
