import pytest
from mmengine.registry import FUNCTIONS
from torch import nn

from star.engine.sharding import wrap_by_class


@pytest.mark.parametrize(
    ('recurse', 'names', 'expected'),
    [
        (True, (), True),
        (False, (), False),
        (False, ('Linear', 'Conv2d'), True),
        (False, ('Conv2d',), False),
    ],
)
def test_names_the_pieces(recurse, names, expected):
    layer = nn.Linear(2, 2)
    assert wrap_by_class(layer, recurse, 6, names) == expected


def test_is_found_as_the_strategy_looks_for_it():
    with FUNCTIONS.switch_scope_and_registry(None):
        assert FUNCTIONS.get('star.wrap_by_class') is wrap_by_class
