"""Metrics of pyiqa: what is handed over, and values where it is installed."""

import hashlib
import sys
from functools import reduce
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from star.evaluation import CLIPIQA, MUSIQ, pyiqa_metrics
from star.evaluation.weight_files import FILES
from star.registry import METRICS
from star.utils import compat
from tests.test_evaluation.test_no_reference import clip

BOTH = pytest.mark.parametrize('kind', [CLIPIQA, MUSIQ])
MUSIQ_FILE = 'musiq_koniq_ckpt-e95806b9.pth'


class Brightness(nn.Module):
    """Stands for a network of pyiqa: images in [0, 1] to their means."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(1, 1)

    def forward(self, images: Tensor) -> Tensor:
        return images.mean((1, 2, 3))[:, None]


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> list:
    """Put a stand-in for pyiqa in place, and record its calls."""
    calls: list = []
    module = ModuleType('pyiqa')

    def create_metric(name: str, **options: object) -> nn.Module:
        calls.append((name, options))
        torch.rand(1)  # as initial weights do
        return Brightness()

    module.create_metric = create_metric
    monkeypatch.setattr(compat, 'import_pyiqa', lambda: module)
    monkeypatch.setattr(pyiqa_metrics, 'version', lambda name: f'{name} 0')
    return calls


@BOTH
def test_measures_frames(kind: type, package: list, tmp_path: Path):
    path = tmp_path / 'weights.pth'
    state = Brightness().net.state_dict()
    torch.save({'params': state}, path)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    metric = kind(str(path), border=4, every=2)
    assert torch.equal(torch.rand(1), expected)
    pred = clip(3, 40, 48)
    found = metric.measure(pred)
    means = pred[::2, :, 4:-4, 4:-4].double().mean((1, 2, 3)) / 255
    assert found.frames == [0, 2]
    assert found.parts == pytest.approx(means.tolist(), rel=1e-5)
    about = metric.describe()
    assert about['name'] == about['type'] == kind.__name__
    assert about['higher_is_better'] and not metric.needs_gt
    assert about['options'] == {
        'border': 4,
        'pyiqa': 'pyiqa 0',
        'frames': None,
        'every': 2,
    }
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert about['weights'] == {'weights.pth': digest}
    ((name, options),) = package
    assert name == kind.__name__.lower()
    assert options.pop('device') == torch.device('cpu')
    expected_options = {'backbone': str(path)}
    if kind is MUSIQ:
        expected_options = {'pretrained': False}
        weight = metric.network.net.weight
        assert torch.equal(weight, state['weight'])
    assert options == expected_options


@BOTH
def test_refuses_missing_weights(kind: type, package: list, tmp_path: Path):
    with pytest.raises(ValueError, match=r'there is no file none\.pth'):
        kind('none.pth')
    name = {CLIPIQA: 'RN50.pt', MUSIQ: MUSIQ_FILE}[kind]
    (tmp_path / name).write_bytes(b'other')
    with pytest.raises(ValueError, match=f'{name}.*remove it, or name it'):
        kind(weights_dir=str(tmp_path))
    assert package == []


@BOTH
def test_refuses_options(kind: type, package: list):
    with pytest.raises(ValueError, match='`border` must be at least 0'):
        kind(border=-1)


def test_refuses_a_damaged_file(package: list, tmp_path: Path):
    path = tmp_path / 'musiq.pth'
    torch.save({'params': {'weight': torch.zeros(2)}}, path)
    with pytest.raises(ValueError, match=r'musiq\.pth does not fit Linear'):
        MUSIQ(str(path))


@BOTH
def test_without_the_package(kind: type, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, 'pyiqa', None)
    with pytest.raises(ImportError, match=r'star-vsr\[pyiqa\]') as error:
        METRICS.build({'type': kind.__name__})
    assert '\n' not in str(error.value)


def installed() -> ModuleType:
    try:
        return compat.import_pyiqa()
    except ImportError as error:
        pytest.skip(str(error))


def test_musiq_of_the_package(tmp_path: Path):
    with torch.random.fork_rng(devices=[]):
        network = installed().create_metric(
            'musiq', pretrained=False, device=torch.device('cpu')
        )
    path = tmp_path / MUSIQ_FILE
    torch.save({'params': network.net.state_dict()}, path)
    pred = clip(2, 96, 120)
    found = MUSIQ(str(path)).measure(pred)
    expected = network(pred.float() / 255).flatten().tolist()
    assert found.parts == pytest.approx(expected, rel=1e-4)
    assert found.parts[0] != pytest.approx(found.parts[1], rel=1e-4)


def make_clip_file(path: Path) -> None:
    """Write a small CLIP of ResNet form, as the TorchScript archive it is."""
    pytest.importorskip('pyiqa.archs.clip_model')
    from pyiqa.archs.clip_model import CLIP

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = CLIP(64, 64, (1, 1, 1, 1), 8, None, 77, 49408, 64, 1, 1)
    root = nn.Module()
    for name, tensor in network.state_dict().items():
        *folders, last = name.split('.')
        holder = reduce(child, folders, root)
        holder.register_buffer(last, tensor.clone())
    for name, value in (
        ('input_resolution', 64),
        ('context_length', 77),
        ('vocab_size', 49408),
    ):
        root.register_buffer(name, torch.tensor(value))
    torch.jit.save(torch.jit.script(root), str(path))


def child(module: nn.Module, name: str) -> nn.Module:
    if not hasattr(module, name):
        module.add_module(name, nn.Module())
    return getattr(module, name)


def test_clipiqa_of_the_package(tmp_path: Path):
    """Equal to the formula: five pairs of words, softmax, mean."""
    pyiqa = installed()
    clip_package = pytest.importorskip('clip')
    path = tmp_path / 'RN50.pt'
    make_clip_file(path)
    metric = CLIPIQA(str(path))
    pred = clip(2, 64, 96)
    found = metric.measure(pred)
    own = pyiqa.create_metric(
        'clipiqa', backbone=str(path), device=torch.device('cpu')
    )
    expected = own(pred.float() / 255).flatten().tolist()
    assert found.parts == pytest.approx(expected, rel=1e-5)
    assert 0 < found.parts[0] < 1
    words = ['Good image', 'bad image', 'Sharp image', 'blurry image']
    words += ['sharp edges', 'blurry edges', 'High resolution image']
    words += ['low resolution image', 'Noise-free image', 'noisy image']
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)
    network = own.net.clip_model[0]
    with torch.no_grad():
        image = network.visual((pred.float() / 255 - mean) / std)
        text = network.encode_text(clip_package.tokenize(words))
        image, text = (x / x.norm(dim=1, keepdim=True) for x in (image, text))
        logits = network.logit_scale.exp() * image @ text.T
    share = logits.view(2, 5, 2).softmax(-1)[..., 0].mean(1)
    assert found.parts == pytest.approx(share.tolist(), rel=1e-4)


def test_clip_refuses_a_damaged_file(tmp_path: Path):
    installed()
    path = tmp_path / 'RN50.pt'
    path.write_bytes(b'no weights')
    with pytest.raises(ValueError, match=r'RN50\.pt cannot be read as CLIP'):
        CLIPIQA(str(path))


def test_published_files():
    assert FILES['RN50.pt'].sha256 in FILES['RN50.pt'].url
    assert FILES[MUSIQ_FILE].sha256 == 'e95806b9'
