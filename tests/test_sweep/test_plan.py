"""Runs of a sweep, and names of their folders."""

import re

import pytest

from star.sweep.plan import Run, expand, make_setting, parse_grid


def test_commas_in_brackets_stay():
    key, values = parse_grid('a.b=(1,2),[3,(4,5)],None, x ')
    assert key == 'a.b'
    assert values == ['(1,2)', '[3,(4,5)]', 'None', 'x']


@pytest.mark.parametrize('text', ['a', 'a=', '=1', 'a=1,,2', 'a=1,'])
def test_no_grid(text):
    with pytest.raises(ValueError, match='--grid takes KEY=V1,V2') as error:
        parse_grid(text)
    assert repr(text) in str(error.value)


def test_a_value_twice():
    with pytest.raises(ValueError, match=r'--grid a has .* 0\.50 twice'):
        parse_grid('a=0.5,1,0.50')
    assert parse_grid('a=1,one')[1] == ['1', 'one']


def test_every_point_of_the_grid():
    settings = expand(['x/tiny.py'], ['m.alpha=0.5,1', 'm.beta=2,3'])
    assert [s.name for s in settings] == [
        'tiny-alpha=0.5-beta=2',
        'tiny-alpha=0.5-beta=3',
        'tiny-alpha=1-beta=2',
        'tiny-alpha=1-beta=3',
    ]
    assert settings[1].changes == (('m.alpha', '0.5'), ('m.beta', '3'))
    assert Run(settings[0], 7).name == 'tiny-alpha=0.5-beta=2/seed_7'


def test_configs_as_they_are():
    settings = expand(['a/one.py', 'b/two.py'], [])
    assert [(s.name, s.config) for s in settings] == [
        ('one', 'a/one.py'),
        ('two', 'b/two.py'),
    ]


@pytest.mark.parametrize(
    ('configs', 'grids', 'line'),
    [
        (['a/x.py', 'b/x.py'], [], "a/x.py and b/x.py are both named 'x'"),
        (['a/x.py', 'a/x.py'], [], 'are both named'),
        (['x.py'], ['a.b=1', 'a.b=2'], '--grid a.b is given twice'),
    ],
)
def test_settings_that_would_share_a_folder(configs, grids, line):
    with pytest.raises(ValueError, match=re.escape(line)):
        expand(configs, grids)


def test_keys_are_as_long_as_they_must_be():
    changes = {'model.backbone.dim': '8', 'model.controlnet.dim': '16'}
    name = make_setting('tiny.py', changes).name
    assert name == 'tiny-backbone.dim=8-controlnet.dim=16'
    assert make_setting('t.py', {'a.b': '1', 'b': '2'}).name == 't-a.b=1-b=2'


def test_names_do_for_folders_and_stay_apart():
    names = [
        make_setting('t.py', {'a': text}).name
        for text in ('../x', '/x', '(1,2)', '(1 2)', 'y' * 300, 'y' * 301)
    ]
    assert len(set(names)) == len(names)
    for name in names:
        assert re.fullmatch(r'[A-Za-z0-9._=+-]{1,140}', name), name
        assert not name.startswith('.')
    # stable: the folders of an earlier start must be found again
    assert names[2] == 't-a=_1_2_-1a41b7a8'
