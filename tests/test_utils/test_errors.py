import pytest

from star.utils.errors import error_line


@pytest.mark.parametrize(
    ('error', 'text'),
    [
        (ValueError('`a` must\n  be b'), '`a` must be b'),
        (ImportError('no c'), 'no c'),
        (OSError('disk'), 'disk'),
        (RuntimeError(), 'RuntimeError'),
        (KeyError('x'), "KeyError: 'x'"),
        (TypeError(), 'TypeError'),
    ],
)
def test_an_error_is_one_line(error: Exception, text: str):
    assert error_line(error) == text
