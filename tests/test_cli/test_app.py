"""`star app`: options, and mistakes in one line."""

import socket
import sys

import pytest

from star.cli.main import main, make_parser
from star.utils.addresses import is_local


def test_defaults_are_for_this_machine_only():
    args = make_parser('app').parse([])
    assert (args.host, args.port, args.browser) == ('127.0.0.1', 7860, True)
    assert is_local(args.host)
    assert not is_local('0.0.0.0')


def test_without_gradio_the_extra_is_named(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, 'gradio', None)
    assert main(['app', '--folder', str(tmp_path / 'app')]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith('error: `gradio` is not installed')
    assert 'pip install "star-vsr[app]"' in last
    assert not (tmp_path / 'app').exists()


@pytest.mark.slow
def test_a_port_that_is_taken_has_one_line(capsys, tmp_path):
    pytest.importorskip('gradio')
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        words = ['app', '--port', port, '--folder', str(tmp_path / 'app')]
        assert main(words) == 2
    errors = capsys.readouterr().err.splitlines()
    assert [line for line in errors if line.startswith('error')] == [
        f'error: `port`: 127.0.0.1, port {port} cannot be used (Address '
        'already in use); give another --port'
    ]
    assert not (tmp_path / 'app').exists()
