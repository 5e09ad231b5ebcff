import pytest

from star.utils.text import one_line


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('a\nb\r\x1b[0m', 'a\\nb\\r\\x1b[0m'),
        ('caf\udce9.mp4', 'caf\\udce9.mp4'),
        ('a\u2028b', 'a\\u2028b'),
        ("it's “é” 中\u3000文 %d", "it's “é” 中\u3000文 %d"),
    ],
)
def test_one_line(text: str, expected: str):
    assert one_line(text) == expected
