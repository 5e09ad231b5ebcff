import pytest

from star.utils.checks import (
    check_choice,
    check_factors,
    check_least,
    check_share,
)


def test_a_choice():
    check_choice('pad', 'zeros', {'zeros': 0, 'reflect': 1})
    rule = "^`pad` must be one of zeros, reflect, got 'edge'$"
    with pytest.raises(ValueError, match=rule):
        check_choice('pad', 'edge', iter(('zeros', 'reflect')))


def test_a_least_number():
    assert check_least('every', 2, 2) == 2
    with pytest.raises(
        ValueError, match=r'^`every` must be at least 2, got 1'
    ):
        check_least('every', 1, 2)


@pytest.mark.parametrize('value', [-0.1, 1.1, float('nan')])
def test_a_share(value):
    check_share('gt', 0)
    check_share('gt', 1)
    with pytest.raises(ValueError, match=r'^`gt` must lie in \[0, 1\], got'):
        check_share('gt', value)


def test_factors():
    check_factors({'l1': 0, 'lpips': 1.5})
    with pytest.raises(
        ValueError, match=r'^`lpips` must not be negative, got'
    ):
        check_factors({'l1': 1, 'lpips': float('nan')})
