"""tools/analysis_tools/measure_cost.py: calls and restores."""

import json

import pytest

from tests.test_tools.tools import load_tool, run_tool


def measure(capsys: pytest.CaptureFixture, *words: str) -> dict:
    tool = load_tool('analysis_tools/measure_cost.py')
    assert tool.main([*words, '--json']) == 0
    return json.loads(capsys.readouterr().out)


def test_measure_cost_of_a_call(capsys: pytest.CaptureFixture) -> None:
    cost = measure(capsys, '--config', 'tiny', '--latent', '2x18x16')
    assert cost['backbone_parameters'] > cost['controlnet_parameters'] > 1e6
    assert 0 < cost['call_seconds'] < 60
    rate = cost['call_tflop'] / cost['call_seconds']
    assert cost['call_tflop_per_second'] == pytest.approx(rate)
    assert 0.1 < cost['call_peak_gib'] < 4


def test_measure_cost_of_the_default() -> None:
    """The shipped model's ControlNet has no parameters."""
    result = run_tool(
        'analysis_tools/measure_cost.py', '--latent', '2x9x8', '--json'
    )
    assert result.returncode == 0, result.stderr
    cost = json.loads(result.stdout)
    assert cost['backbone_parameters'] == 1_347_779
    # two FLOP for each weight and place; biases and the timestep are little
    expected = 2e-12 * 2 * 9 * 8 * cost['backbone_parameters']
    assert cost['call_tflop'] == pytest.approx(expected, 0.02)


def test_measure_cost_of_a_transformer(capsys: pytest.CaptureFixture) -> None:
    words = '--config', 'tiny_cogvideox', '--latent', '3x8x12'
    cost = measure(capsys, *words)
    assert cost['controlnet_parameters'] == 0 < cost['backbone_parameters']
    assert cost['call_tflop'] > 0


def test_plan_of_a_baseline(capsys: pytest.CaptureFixture) -> None:
    words = ('--config', 'tiny_resshift', '--plan', '3x16x16')
    cost = measure(capsys, *words)
    assert cost['dtype'] == 'bfloat16' and cost['plan'] == '3x16x16'
    assert cost['plan_tflop'] > 0 and cost['plan_activations_gib'] > 0
    total = cost['plan_weights_gib'] + cost['plan_activations_gib']
    assert cost['plan_peak_gib'] == pytest.approx(total)


def test_measure_cost_of_a_restore(capsys: pytest.CaptureFixture) -> None:
    cost = measure(capsys, '--restore', '2x12x16', '--steps', '1')
    rate = 2 / cost['restore_seconds']
    assert cost['restore_frames_per_second'] == pytest.approx(rate)
    assert 0.1 < cost['restore_peak_gib'] < 4
