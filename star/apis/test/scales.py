"""The factor by which a test set wants its clips enlarged."""

from collections.abc import Mapping
from dataclasses import replace

from star.apis.test.sets import ClipSet
from star.models.contracts import Restorer


def check_scales(sets: Mapping[str, ClipSet], restorer: Restorer) -> None:
    """Check that a method restores at the scale of each set.

    Args:
        sets: data sets by name; one may have a `scale`.
        restorer: with its own options otherwise.

    Raises:
        ValueError: it cannot; one line for each set.
    """
    faults = []
    for name, dataset in sets.items():
        scale = getattr(dataset, 'scale', None)
        if scale is None:
            continue
        options = replace(restorer.restore_options, scale=scale)
        try:
            restorer.check_options(options)
        except ValueError as error:
            faults.append(
                f'set {name} is to be restored at x{scale:g}: {error}; leave '
                'it out with --sets, or choose another method'
            )
    if faults:
        raise ValueError('\n'.join(faults))
