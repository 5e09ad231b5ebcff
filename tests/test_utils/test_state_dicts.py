import torch

from star.utils.state_dicts import find_misfits

OWN = {'a': torch.zeros(2), 'b': torch.zeros(3), 'c': torch.zeros(1)}


def test_what_fits():
    assert find_misfits(OWN, OWN) == ''
    assert find_misfits(OWN, {'a': torch.ones(2)}, {'a'}) == ''


def test_what_does_not():
    given = {'b': torch.zeros(2), 'd': torch.zeros(1), 'e': torch.zeros(1)}
    assert find_misfits(OWN, given) == (
        '2 missing (a ...), 2 unknown (d ...), 1 of another shape (b ...)'
    )
    assert find_misfits(OWN, given, {'b', 'c'}).startswith('1 missing (c ...)')
