"""The pairs KEY=VALUE of --cfg-options."""

import pytest

from star.apis.train.option_text import read_changes, read_value


@pytest.mark.parametrize(
    ('text', 'value'),
    [
        ('1', 1),
        ('-1e-3', -0.001),
        ('true', True),
        ('False', False),
        ('None', None),
        ('none', 'none'),
        ('word', 'word'),
        ('a good video', 'a good video'),
        ('"2024"', '2024'),
        ("'a, b'", 'a, b'),
        ('1,2', [1, 2]),
        ('[]', []),
        ('[a, b]', ['a', 'b']),
        ('[1]', [1]),
        ('(0.9, 0.99)', (0.9, 0.99)),
        ('[(1,2),[a,b],c]', [(1, 2), ['a', 'b'], 'c']),
        ("['a, b',c]", ['a, b', 'c']),
        ("{'a': 1, 'b': {'c': [2]}}", {'a': 1, 'b': {'c': [2]}}),
        ("[{'type': 'PSNR'}]", [{'type': 'PSNR'}]),
        ("dict(a=1, b=dict(c=[2, 'd']))", {'a': 1, 'b': {'c': [2, 'd']}}),
        ('dict()', {}),
        (
            "[dict(type='PSNR'), dict(type='SSIM')]",
            [{'type': 'PSNR'}, {'type': 'SSIM'}],
        ),
        ("{'a': dict(b=(1, 2))}", {'a': {'b': (1, 2)}}),
        ('dict(a=1),dict(a=2)', [{'a': 1}, {'a': 2}]),
        ('"dict(a=1)"', {'a': 1}),
        ('dictionary', 'dictionary'),
        ('"[1,2]"', [1, 2]),  # quotes that a shell has left
        ('', ''),
    ],
)
def test_values(text, value):
    found = read_value(text)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ('pair', 'reason'),
    [
        ('model={a: }', 'no dictionary'),
        ('model={1: 2}', 'no dictionary'),
        ('a=[1,', "'[' is not closed"),
        ("x={'a':", "'{' is not closed"),
        ('a=(1,[2)', "']' is missing"),
        ('a=1,2]', "']' closes nothing"),
        ('a=1,[2', "']' is missing"),
        ('a=[{1},2]', 'no dictionary'),
        ('a=dict(b=1', "'(' is not closed"),
        ('a=dict(b)', 'no dictionary'),
        ('a=dict(b=open(1))', 'no dictionary'),
        ('a=dict(**{})', 'no dictionary'),
        ('a=dict(b=1, b=2)', 'no dictionary'),
        ('a', 'takes KEY=VALUE'),
        ('=3', 'takes KEY=VALUE'),
        ('a=' + '[' * 5000 + ']' * 5000, 'nested too deeply'),
    ],
)
def test_broken_values(pair, reason):
    with pytest.raises(ValueError, match='--cfg-options') as caught:
        read_changes(['fine=1', pair])
    text = str(caught.value)
    assert pair in text and reason in text and 'fine' not in text
    assert len(text.splitlines()) == 1


def test_pairs():
    assert read_changes(['a.b=c=d', 'e= 3 ']) == {'a.b': 'c=d', 'e': 3}
    assert read_changes([]) == {}
