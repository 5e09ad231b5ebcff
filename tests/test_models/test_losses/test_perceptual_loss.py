from contextlib import nullcontext

import pytest
import torch
from safetensors.torch import save_file
from torch._subclasses.fake_tensor import FakeTensorMode

from star.models.losses.perceptual_loss import PerceptualLoss
from star.registry import MODELS
from star.utils import compat
from star.utils.operation_counter import OperationCounter


def build(**options):
    return MODELS.build({'type': 'PerceptualLoss', **options})


def clips(n=2, frames=3, side=8):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, n, 3, frames, side, side, generator=generator) * 2 - 1


def lpips_package():
    compat.allow_missing_torchvision_operators()
    return pytest.importorskip('lpips')


@pytest.fixture
def random_weights(tmp_path):
    """LPIPS with random numbers: its network and a file of its weights."""
    package = lpips_package()
    torch.manual_seed(0)
    network = package.LPIPS(
        pretrained=False, pnet_rand=True, net='squeeze', verbose=False
    )
    state = {
        k: v.abs().clone()
        for k, v in network.state_dict().items()
        if k.startswith('lin')
    }
    network.load_state_dict(state, strict=False)
    state = {k: v.clone() for k, v in network.state_dict().items()}
    save_file(state, tmp_path / 'lpips.safetensors')
    return network, tmp_path / 'lpips.safetensors', state


def test_distances_of_pixels():
    pred, gt = clips()
    t = torch.tensor([0, 500])
    terms = build(lpips=0, l1=0.5, temporal=2, weight=3).terms(pred, gt, t)
    l1 = (pred - gt).abs().mean((1, 2, 3, 4))
    motion = [x[:, :, 1:] - x[:, :, :-1] for x in (pred, gt)]
    temporal = (motion[0] - motion[1]).abs().mean((1, 2, 3, 4))
    share = torch.tensor([1.0, 1 - 500 / 999])
    expected = 3 * (share * (0.5 * l1 + 2 * temporal)).mean()
    torch.testing.assert_close(terms['loss_perceptual'], expected)
    torch.testing.assert_close(terms['perceptual_l1'], l1.mean())
    torch.testing.assert_close(terms['perceptual_temporal'], temporal.mean())
    assert 'perceptual_lpips' not in terms


@pytest.mark.parametrize('t_power', [0, 1, 3])
def test_weight_falls_with_t(t_power):
    gt = torch.zeros(1, 3, 1, 4, 4)
    loss = build(lpips=0, t_power=t_power)
    for t in (0, 500, 999):
        found = loss(gt + 0.5, gt, torch.tensor([t])).item()
        expected = 0.5 * (1 - t / 999) ** t_power
        assert found == pytest.approx(expected, abs=1e-7)


def test_a_constant_error_does_not_flicker():
    pred, gt = clips()
    t = torch.tensor([0, 0])
    loss = build(lpips=0, l1=0, temporal=1)
    assert loss(gt + 0.3, gt, t).item() == pytest.approx(0, abs=1e-6)
    assert loss(pred, gt, t).item() > 0.1
    still = loss.terms(pred[:, :, :1], gt[:, :, :1], t)
    assert still['loss_perceptual'].item() == 0  # one frame cannot flicker


def test_lpips_of_all_frames(random_weights):
    network, path, _ = random_weights
    pred, gt = clips(side=33)
    t = torch.tensor([0, 999])
    loss = build(weights=str(path), l1=0)
    with torch.no_grad():
        frames = [
            network(pred[0, :, i][None], gt[0, :, i][None]) for i in range(3)
        ]
    expected = torch.stack(frames).mean().item()
    assert expected > 1e-6
    found = loss(pred, gt, t).item()
    assert found == pytest.approx(expected / 2, rel=1e-6)  # the 2nd counts 0
    assert loss(gt, gt, t).item() == 0


def test_gradient_of_lpips(random_weights):
    _, path, _ = random_weights
    pred, gt = clips(1, 1, 33)
    pred.requires_grad_(True)
    loss = build(weights=str(path), l1=0)
    loss(pred, gt, torch.tensor([0])).backward()
    assert pred.grad.any() and pred.grad.isfinite().all()
    network = loss.network(pred.device)
    assert not any(p.requires_grad for p in network.parameters())
    assert not network.training


def test_network_is_no_part_of_the_model(random_weights):
    _, path, _ = random_weights
    loss = build(weights=str(path))
    loss.network(torch.device('cpu'))
    assert not list(loss.parameters())
    assert not loss.state_dict()
    loss.train()
    assert not loss.network(torch.device('cpu')).training


def test_constants_and_doubles_may_be_absent(random_weights, tmp_path):
    """As where the file comes from another format."""
    _, path, state = random_weights
    for prefix in ('lin0.', 'lins.'):  # codespell:ignore lins
        slim = {
            key: value
            for key, value in state.items()
            if not key.startswith((prefix, 'scaling_layer.'))
        }
        save_file(slim, tmp_path / 'slim.safetensors')
        other = build(weights=str(tmp_path / 'slim.safetensors'))
        full = build(weights=str(path))
        pred, gt = clips(1, 1, 33)
        t = torch.tensor([0])
        assert torch.equal(other(pred, gt, t), full(pred, gt, t))


def test_weights_that_do_not_fit(random_weights, tmp_path):
    _, _, state = random_weights
    path = tmp_path / 'broken.safetensors'
    del state['net.slice1.0.weight']
    save_file(state, path)
    with pytest.raises(ValueError, match=r'1 missing \(features\.0\.weight'):
        build(weights=str(path)).network(torch.device('cpu'))
    path.write_bytes(b'nothing')
    with pytest.raises(ValueError, match=r'broken.* cannot be read'):
        build(weights=str(path)).network(torch.device('cpu'))
    with pytest.raises(ValueError, match='there is no file /nowhere'):
        build(weights='/nowhere').network(torch.device('cpu'))


def test_gradient_is_that_of_the_package(random_weights):
    network, path, _ = random_weights
    pred, gt = clips(1, 2, 33)
    found, expected = pred.clone(), pred.clone()
    for x in (found, expected):
        x.requires_grad_(True)
    build(weights=str(path), l1=0)(found, gt, torch.tensor([0])).backward()
    frames = [x[0].transpose(0, 1) for x in (expected, gt)]
    network(*frames).mean().backward()
    error = (found.grad - expected.grad).norm()
    assert error < 1e-5 * expected.grad.norm()


def test_network_is_loaded_when_needed(monkeypatch, tmp_path):
    """A model with this loss can be built and restore without weights."""
    monkeypatch.setattr('torch.hub.get_dir', lambda: str(tmp_path))

    def no_network(*_, **__):
        raise OSError('no network')

    monkeypatch.setattr('star.utils.weight_files.urlopen', no_network)
    pred, gt = clips()
    t = torch.tensor([0, 1])
    assert build(lpips=0)(pred, gt, t).item() > 0
    with pytest.raises(ValueError, match='no network') as error:
        build()(pred, gt, t)
    assert 'squeezenet1_1' in str(error.value)


@pytest.mark.parametrize(
    'options, message',
    [
        ({'net': 'resnet'}, "`net` must be one of .* 'resnet'"),
        ({'l1': -1}, '`l1` must not be negative, got -1'),
        ({'temporal': -0.1}, '`temporal` must not be negative'),
        ({'t_power': -1}, '`t_power` must not be negative'),
        ({'num_timesteps': 1}, '`num_timesteps` must be at least 2'),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        PerceptualLoss(**options)


def test_counted_on_tensors_without_content():
    """The operations of a training step are counted without the weights."""
    loss = build(net='squeeze')
    counts = []
    for mode in (nullcontext(), FakeTensorMode()):
        with mode, torch.device('cpu'):
            loss.skip_weights()
            gt = torch.zeros(1, 3, 1, 32, 32)
            pred = torch.zeros(1, 3, 1, 32, 32, requires_grad=True)
            with OperationCounter() as counter:
                loss(pred, gt, torch.zeros(1)).backward()
            counts.append(counter.total)
    assert counts[1] == pytest.approx(counts[0], rel=1e-3)
