import pytest

from star.models.editors import Recipe


@pytest.mark.parametrize(
    ('change', 'rule'),
    [
        ({'window': 0}, '`window` must be at least 1, got 0'),
        ({'size_multiple': 0}, '`size_multiple` must be at least 1'),
        ({'min_size': 0}, '`min_size` must be at least 1'),
        ({'window': 2, 'overlap': 2}, r'less than `window` \(2\), got 2'),
        ({'overlap': -1}, '`overlap` must be at least 0'),
        ({'blend': 'cut'}, "`blend` must be one of fade, trim, got 'cut'"),
        ({'pad': 'zero'}, '`pad` must be one of reflect, replicate'),
    ],
)
def test_refuses(change, rule):
    with pytest.raises(ValueError, match=rule):
        Recipe(**change)
