"""`star convert onnx`: a graph that gives our results."""

import pytest
import torch

from star.apis import init_model
from star.cli.convert import onnx as command
from star.cli.main import main
from star.models.restoration.graph import make_graph

CLIP = torch.randint(
    0,
    256,
    (3, 3, 12, 16),
    dtype=torch.uint8,
    generator=torch.Generator().manual_seed(1),
)


@pytest.mark.parametrize('config', ['tiny_compact', 'realesr_animevideov3'])
def test_the_graph_restores_as_the_model_does(config):
    random = None if config == 'tiny_compact' else 'random'
    model = init_model(config, random, 'cpu', 'fp32')
    options = command.options_without_noise(model)
    with torch.no_grad():
        got = make_graph(model)(CLIP)
    wanted = model.restore(CLIP, options)
    assert got.dtype == torch.uint8
    assert (got.int() - wanted.int()).abs().max() <= 1
    assert wanted.float().std() > 1


def test_onnxruntime_gives_our_results(tmp_path):
    for module in ('onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(module)
    path = tmp_path / 'small.onnx'
    words = ['convert', 'onnx', str(path), '--config', 'realesr_animevideov3']
    assert main([*words, '--weights', 'random']) == 0
    assert list(tmp_path.iterdir()) == [path]
    model = init_model('realesr_animevideov3', 'random', 'cpu', 'fp32')
    assert command.compare(model, path) <= 1


def test_what_cannot_be_exported_is_refused(tmp_path, capsys):
    for module in ('onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(module)
    words = ['convert', 'onnx', str(tmp_path / 'x.onnx'), '--config']
    assert main([*words, 'bicubic']) == 2
    assert 'compact Real-ESRGAN' in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_another_suffix_is_refused(tmp_path, capsys):
    assert main(['convert', 'onnx', str(tmp_path / 'x.pt')]) == 2
    assert 'must end in .onnx' in capsys.readouterr().err
