"""Arguments of classes, and what fits their annotations."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Optional

import pytest
from torch import nn

from star.apis.inference.build import load_config
from star.apis.train.signatures import (
    ANY,
    arguments_of,
    default_of,
    describe_hint,
    find_class,
    fits,
    kind_of,
)


class Base:
    def __init__(self, a: int, b: str = 'x') -> None: ...


class Passing(Base):
    def __init__(self, c: float, **rest) -> None: ...


class Open:
    def __init__(self, *, c: 'Missing' = 1, **rest) -> None: ...  # noqa: F821


def test_arguments_of_classes_that_pass_some_on():
    assert arguments_of(Base) == ({'a': int, 'b': str}, False)
    assert arguments_of(Passing) == ({'c': float, 'a': int, 'b': str}, False)
    assert arguments_of(Open) == ({'c': ANY}, True)
    assert default_of(Base, 'b') == 'x'
    assert default_of(Base, 'a') is default_of(None, 'a') is None


def test_classes_of_a_config():
    load_config('tiny')  # imports them
    for kind in ('I2VGenUNet', 'LinearLR', 'AdamW', 'RandomCropClip', 'PSNR'):
        found = find_class(kind)
        assert found is not None and not arguments_of(found)[1], kind
    assert find_class('Nothing') is find_class(None) is find_class(3) is None


@pytest.mark.parametrize(
    ('hint', 'good', 'bad', 'words'),
    [
        (int, [1], [1.0, True, '1', None], 'a whole number'),
        (float, [1, 1.5], [False, 'fast', None, [1]], 'a number'),
        (bool, [True], [1, 'true'], 'true or false'),
        (str, [''], [2024, None, ['a']], 'text'),
        (int | None, [1, None], ['a'], 'a whole number or None'),
        (Optional[str], ['a', None], [1], 'text or None'),  # noqa: UP045
        (list[int], [[1], (1, 2)], [[1.5], 1, 'a'], 'a list of a whole'),
        (Sequence[str], [['a']], ['a', [1]], 'a list of text'),
        (tuple[float, float], [[0, 1]], [[1], [1, 2, 3]], 'a list of a num'),
        (tuple[int, ...], [(), (1, 2, 3)], [('a',)], 'a list of a whole'),
        (dict, [{}], [[], 'a', None], 'a dictionary'),
        (Mapping[str, int] | None, [{}, None], [1], 'a dictionary or None'),
        (Literal['a', 'b'], ['a'], ['c', 1], 'one of a, b'),
        (nn.Module, [{'type': 'A'}, 'A'], [None, 3, [1]], 'an object'),
        (str | Path, ['a'], [3], 'text or an object'),
        (Any, [None, 3], [], ''),
        (ANY, [None, 3], [], ''),
    ],
)
def test_what_fits(hint, good, bad, words):
    assert all(fits(value, hint) for value in good)
    assert not any(fits(value, hint) for value in bad)
    if words:
        assert describe_hint(hint).startswith(words)


@pytest.mark.parametrize('value', [True, 3, 1.5, 'a', [1], {'a': 1}])
def test_a_value_fits_its_own_kind(value):
    assert fits(value, kind_of(value))
    others = {True: 2, 3: 'x', 1.5: 'x', 'a': 3}
    if not isinstance(value, list | dict):
        assert not fits(others[value], kind_of(value))
    else:
        assert not fits('a', kind_of(value))
