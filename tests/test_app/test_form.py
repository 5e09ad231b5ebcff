"""The form: what is read of it, and what a method shows."""

import pytest

from star.app.choice import Choice
from star.app.methods import Method, read_method

gradio = pytest.importorskip('gradio')
METHOD = Method(
    'a', used=('scale', 'color_fix'), color_fixes=('lab', 'none'), scale=2
)


@pytest.fixture
def form():
    from star.app.form import Form

    with gradio.Blocks():
        return Form()


def test_values_become_a_choice(form):
    values = {'scale': ' 2 ', 'crf': '', 'color_fix': '', 'codec': 'ffv1'}
    rest = [values.get(name, '') for name in form.options]
    choice, key, download = form.read(['bicubic', True, *rest, 'other'])
    assert (key, download) == ('bicubic', True)
    assert choice == Choice(scale='2', codec='ffv1')


def test_a_method_shows_its_options(form):
    shown = form.offer([METHOD], 'gone')
    assert shown[form.method]['value'] == 'a'
    visible = {n: shown[form.options[n]]['visible'] for n in ('scale', 'seed')}
    assert visible == {'scale': True, 'seed': False}
    assert shown[form.options['scale']]['placeholder'] == '2'
    fixes = shown[form.options['color_fix']]
    assert fixes['visible'] is True
    assert fixes['choices'] == [('as the method', ''), 'lab', 'none']
    assert shown[form.download]['visible'] is False


def test_methods_travel_as_json():
    value = {**vars(METHOD), 'used': ['scale', 'color_fix']}
    assert read_method(value) == METHOD
