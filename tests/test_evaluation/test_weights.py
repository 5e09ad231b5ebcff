"""Files of weights are read without running code from them."""

import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from star.evaluation.weights import fill, load_state

STATE = {'weight': torch.arange(6.0).view(2, 3), 'bias': torch.ones(2)}


def test_reads_both_kinds(tmp_path):
    save_file(STATE, tmp_path / 'a.safetensors')
    torch.save(STATE, tmp_path / 'b.pth')
    for name in ('a.safetensors', 'b.pth'):
        state = load_state(tmp_path / name)
        assert state.keys() == STATE.keys()
        assert all(torch.equal(state[k], STATE[k]) for k in STATE)


class Code:
    def __reduce__(self):
        return print, ('it ran',)


def test_runs_no_code(tmp_path, capsys: pytest.CaptureFixture):
    path = tmp_path / 'evil.pth'
    path.write_bytes(pickle.dumps({'weight': Code()}))
    with pytest.raises(ValueError, match=r'evil\.pth'):
        load_state(path)
    assert 'it ran' not in capsys.readouterr().out


@pytest.mark.parametrize('content', [b'', b'noise' * 100])
def test_refuses_noise(tmp_path, content: bytes):
    for name in ('a.pth', 'a.safetensors'):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f'`weights`: .*{name}'):
            load_state(tmp_path / name)


def test_refuses_what_is_no_state_dict(tmp_path):
    torch.save({'epoch': 3}, tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='holds no state dict'):
        load_state(tmp_path / 'a.pth')


def test_fill_is_strict():
    layer = nn.Linear(3, 2)
    fill(layer, STATE, 'file')
    assert torch.equal(layer.weight, STATE['weight'])
    with pytest.raises(ValueError, match=r'file does not fit: .*bias'):
        fill(layer, {'weight': STATE['weight']}, 'file')
    with pytest.raises(ValueError, match='does not fit'):
        fill(nn.Linear(4, 2), STATE, 'file')
