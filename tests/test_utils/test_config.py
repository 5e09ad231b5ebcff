import pytest
from mmengine.config import ConfigDict

from star.utils.config import describe_differences, flatten


def test_leaves_by_dotted_name():
    nested = {'a': [1, {'b': None}], 'c': {}, 'd': 'x', 'e': [], 'f': (0.1,)}
    assert flatten(nested) == {
        'a.0': '1',
        'a.1.b': 'None',
        'd': "'x'",
        'e': '[]',
        'f.0': '0.1',
    }
    assert flatten(nested, 'n', split_lists=False) == {
        'n.a': "[1, {'b': None}]",
        'n.d': "'x'",
        'n.e': '[]',
        'n.f': '[0.1]',
    }
    assert flatten(ConfigDict({'a': {'b': 1}})) == {'a.b': '1'}
    assert flatten({'a': (1, 2)}) == flatten({'a': [1, 2]})
    assert flatten({}) == {}


@pytest.mark.parametrize(
    ('there', 'here', 'line'),
    [
        ({'a': '1', 'b': '2'}, {'a': '1', 'b': '2'}, ''),
        ({'a': '1'}, {'a': '2'}, 'a is 1 there and 2 here'),
        (
            {'b': '1'},
            {'a': "'x'"},
            "a is not set there and 'x' here, b is 1 there and not set here",
        ),
        ({'a.b': '1', 'c': '3'}, {'a.b': '2', 'c': '4'}, 'c is 3 there and 4'),
        (
            {'c': 'x' * 61},
            {'c': 'x' * 60},
            f'c is {"x" * 57}... there and {"x" * 60} here',
        ),
    ],
)
def test_differences_in_one_line(there, here, line):
    found = describe_differences(there, here, ('a.*', 'y'))
    assert found.startswith(line) and bool(found) == bool(line)


def test_further_differences_are_counted():
    there = dict.fromkeys('abcde', '1')
    found = describe_differences(there, {'a': '1'})
    assert found.endswith('d is 1 there and not set here and 1 more')
