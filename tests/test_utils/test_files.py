import json
import math

import pytest

from star.utils.files import read_json, write_json, write_text


def test_numbers_that_json_lacks(tmp_path):
    path = tmp_path / 'a' / 'b.json'
    value = {'x': [math.inf, -math.inf, math.nan, 0.1], 'y': (1, None, True)}
    write_json(path, value)
    strict = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert strict == {'x': ['inf', '-inf', 'nan', 0.1], 'y': [1, None, True]}
    assert read_json(path) == strict
    numbers = [float(each) for each in strict['x']]
    assert numbers[:2] == [math.inf, -math.inf] and math.isnan(numbers[2])


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / 'a.json'
    write_json(path, {'n': 1})
    with pytest.raises(TypeError):
        write_json(path, {'n': object()})
    assert read_json(path) == {'n': 1}
    write_text(path, '{"n": 2}\n')
    assert read_json(path) == {'n': 2}
    assert [p.name for p in tmp_path.iterdir()] == ['a.json']


@pytest.mark.parametrize('text', [None, '', '{"n": '])
def test_no_json(tmp_path, text):
    path = tmp_path / 'a.json'
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=r'a\.json cannot be read') as caught:
        read_json(path)
    assert len(str(caught.value).splitlines()) == 1
