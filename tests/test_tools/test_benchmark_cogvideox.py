"""tools/analysis_tools/benchmark_cogvideox.py at its smallest."""

import json

import pytest
import torch

from tests.test_tools.tools import load_tool

TOOL = load_tool('analysis_tools/benchmark_cogvideox.py')


def test_compares_equal_networks_but_for_the_gates():
    args = TOOL.parse_args(['--clip', '5x32x16', '--device', 'cpu'])
    calls = TOOL.make_calls(args)
    with torch.inference_mode():
        ours, theirs = (call() for call in calls.values())
        assert ours.shape == (2, 16, 2, 4, 2)
        gates = [p for p in _gated(calls).modules() if hasattr(p, 'local1')]
        assert (ours - theirs.transpose(1, 2)).abs().max() > 1e-3
        for block in gates:  # open for all
            block.local1.conv = block.local2.conv = None
        close = dict(rtol=0, atol=1e-5)
        ours = calls['CogVideoXDiT']()
        torch.testing.assert_close(ours, theirs.transpose(1, 2), **close)


def _gated(calls):
    """Find our network in the function that calls it."""
    cells = calls['CogVideoXDiT'].__closure__
    return next(
        cell.cell_contents
        for cell in cells
        if isinstance(cell.cell_contents, torch.nn.Module)
    )


def test_as_a_command(tmp_path, capsys):
    path = tmp_path / 'a.json'
    options = ['--clip', '1x16x16', '--repeat', '2', '--device', 'cpu']
    assert TOOL.main([*options, '--json', str(path)]) == 0
    found = json.loads(path.read_text())
    assert set(found) == {'CogVideoXDiT', 'diffusers'}
    for cost in found.values():
        assert 0 < cost['fastest'] <= cost['seconds']
    assert 'seconds: x ' in capsys.readouterr().out


@pytest.mark.parametrize(
    'options, message',
    [
        (['--clip', '24x32x32'], '4k+1'),
        (['--clip', '25x40x32'], 'multiples of 16'),
        (['--repeat', '0'], '--repeat'),
        (['--dtype', 'int8', '--device', 'cpu'], '`dtype`'),
        (['--device', 'none'], 'none'),
    ],
)
def test_wrong_options_end_in_one_line(options, message, capsys):
    try:
        code = TOOL.main(options)
    except SystemExit as end:
        code = end.code
    error = capsys.readouterr().err
    assert code == 2
    assert message in error
    assert len(error.splitlines()) == 1
