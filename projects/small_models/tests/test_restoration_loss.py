import pytest
import torch
from torch import Tensor

from projects.small_models.restoration_loss import (
    RestorationLoss,
    grid_distance,
    input_weight,
    shrunk_weight,
)

ZERO = dict.fromkeys(('lpips', 'l1', 'temporal', 'gradient', 'grid'), 0.0)


def clips(side: int = 32) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    shape = (3, 2, 3, 4, side, side)
    return torch.rand(shape, generator=generator) * 2 - 1


def test_grid_is_what_all_patches_share():
    pattern = torch.tensor([[1.0, -1.0], [0.0, 0.0]])
    error = pattern.repeat(16, 16).expand(1, 3, 2, 32, 32)
    assert grid_distance(error, 2).item() == 0.5
    assert grid_distance(error + 7, 2).item() == pytest.approx(0.5)
    ramp = torch.arange(32).expand(1, 3, 2, 32, 32) // 2
    assert grid_distance(ramp.float(), 2).item() == 0
    edges = error.clone()
    edges[..., 16:, :] *= -1  # a pattern elsewhere does not cancel this one
    assert grid_distance(edges, 2).item() == 0.5


def test_good_inputs_count_more():
    gt = torch.zeros(3, 3, 1, 4, 4)
    lq = torch.tensor([0.09, 0.19, 0.0]).view(3, 1, 1, 1, 1) + gt
    weight = input_weight(lq, gt, most=5.0)
    torch.testing.assert_close(weight, torch.tensor([1.0, 0.5, 5.0]))


def test_clips_that_are_only_shrunk():
    detail = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(8, 8)
    gt = torch.zeros(4, 3, 1, 16, 16)
    lq = torch.stack(
        [
            0.02 * detail,  # nothing left in the means of patches
            0.011 + 0.022 * detail,  # half of it
            torch.full((16, 16), 0.03),  # all of it
            0.06 * detail,  # far from the truth
        ]
    )
    lq = lq[:, None, None].expand(4, 3, 1, 16, 16)
    weight = shrunk_weight(lq, gt, 4, 0.3)
    half = (0.011 / 0.023 - 0.3) / 0.3
    expected = torch.tensor([0.3, half, 1, 0.061 / 0.12])
    torch.testing.assert_close(weight, expected)
    assert shrunk_weight(lq, gt, 4, 1.0).tolist() == [1, 1, 1, 1]


def test_lpips_counts_less_for_shrunk_clips(recorder):
    pred, gt, _ = clips()
    detail = torch.tensor([[0.02, -0.02], [-0.02, 0.02]]).repeat(16, 16)
    options = {**ZERO, 'lpips': 2.0, 'max_shift': 0}
    loss = RestorationLoss(**options, least_lpips=0.25)
    expected = 0.25 * RestorationLoss(**options)(pred, gt, gt + detail)
    torch.testing.assert_close(loss(pred, gt, gt + detail), expected)


@pytest.mark.parametrize('name', ['l1', 'temporal', 'gradient', 'grid'])
def test_distances(name):
    pred, gt, lq = clips()
    error = pred - gt
    flat = {
        'l1': [error],
        'temporal': [error[:, :, 1:] - error[:, :, :-1]],
        'gradient': [
            error[..., 1:, :] - error[..., :-1, :],
            error[..., 1:] - error[..., :-1],
        ],
    }.get(name)
    if flat is None:
        each = grid_distance(error, 4)
        expected = 3 * each.mean()
    else:
        each = sum(x.abs().mean((1, 2, 3, 4)) for x in flat)
        expected = 3 * (input_weight(lq, gt) * each).mean()
    terms = RestorationLoss(**{**ZERO, name: 3.0}).terms(pred, gt, lq)
    torch.testing.assert_close(terms['loss_restoration'], expected)
    torch.testing.assert_close(terms[name], each.mean())
    assert 'lpips' not in terms


def test_one_frame_does_not_flicker():
    pred, gt, lq = clips()[:, :, :, :1]
    loss = RestorationLoss(**{**ZERO, 'temporal': 1.0})
    assert loss(pred, gt, lq).item() == 0


class Recorder(torch.nn.Module):
    """Stands for LPIPS: keeps what it sees."""

    def forward(self, pred: Tensor, gt: Tensor) -> Tensor:
        self.seen = pred, gt
        return (pred - gt).abs().mean((1, 2, 3), keepdim=True)


@pytest.fixture
def recorder(monkeypatch):
    network = Recorder()
    name = 'projects.small_models.restoration_loss.load_lpips'
    monkeypatch.setattr(name, lambda *_: network)
    return network


def test_lpips_sees_moving_crops_of_some_frames(recorder):
    pred = torch.arange(32 * 32.0).view(32, 32).expand(2, 3, 4, 32, 32).clone()
    pred += 1024 * torch.arange(4.0).view(4, 1, 1)
    options = {**ZERO, 'lpips': 1.0, 'max_shift': 3, 'lpips_frames': 2}
    loss = RestorationLoss(**options)
    torch.manual_seed(0)
    corners = set()
    for _ in range(40):
        loss(pred, pred + 1, pred)
        crop, truth = recorder.seen
        assert crop.shape == (4, 3, 29, 29)
        assert torch.equal(truth, crop + 1)
        frame, place = (crop[:2, 0, 0, 0] // 1024).int().tolist(), crop[0]
        corners.add((*frame, int(place[0, 0, 0]) % 1024))
    assert {frame for frame, *_ in corners} == {0, 1, 2, 3}
    assert all(first != second for first, second, _ in corners)
    assert {c // 32 for *_, c in corners} == {0, 1, 2, 3}
    assert {c % 32 for *_, c in corners} == {0, 1, 2, 3}


def test_lpips_of_all_frames(recorder):
    pred, gt, lq = clips()
    loss = RestorationLoss(**{**ZERO, 'lpips': 2.0, 'max_shift': 0})
    expected = 2 * (pred - gt).abs().mean()
    torch.testing.assert_close(loss(pred, gt, lq), expected)


def test_network_is_no_part_of_the_state(recorder):
    loss = RestorationLoss()
    loss(*clips())
    assert not loss.state_dict()


def test_missing_weights():
    with pytest.raises(ValueError, match=r'nowhere\.safetensors'):
        RestorationLoss('nowhere.safetensors')(*clips())


@pytest.mark.parametrize(
    'name', [*ZERO, 'max_shift', 'lpips_frames', 'least_lpips']
)
def test_negative_numbers(name):
    with pytest.raises(ValueError, match=f'`{name}` must not be negative'):
        RestorationLoss(**{name: -1})


def test_least_lpips_is_a_share():
    with pytest.raises(ValueError, match='`least_lpips` must be at most 1'):
        RestorationLoss(least_lpips=1.5)
