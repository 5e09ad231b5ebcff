import pytest
import torch
from torch import nn

from star.models.editors.star.decode_window import DecodeWindow, decode_windows
from star.models.editors.star.random_state import ClipRandom
from tests.test_models.fakes import FoldingAutoencoder, GroupingAutoencoder


class SmoothingAutoencoder(nn.Module):
    """Decodes with a 3 x 3 convolution: a pixel sees its neighbours."""

    downsample = temporal_downsample = 1

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv3d(3, 3, (1, 3, 3), padding=(0, 1, 1))
        self.requires_grad_(False)
        self.calls = 0

    def decode(self, z, tile=0):
        self.calls += 1
        return torch.tanh(self.conv(z))


def draws(n=2):
    return [ClipRandom(seed, torch.device('cpu')) for seed in range(n)]


def latents(n=2, channels=3, frames=5, height=8, width=9):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, channels, frames, height, width, generator=generator)


def test_window_is_that_of_the_ground_truth():
    """A decoder without loss must meet the ground truth exactly."""
    autoencoder = FoldingAutoencoder(downsample=2)
    gt = latents(frames=6, height=16, width=20)
    z = autoencoder.encode(gt)
    for window in (
        DecodeWindow(),
        DecodeWindow(num_frames=2, crop_size=(6, 8)),
        DecodeWindow(num_frames=1, crop_size=(8, 4), margin=1),
        DecodeWindow(num_frames=9, crop_size=(16, 4), margin=20),
    ):
        pred, target = decode_windows(autoencoder, z, gt, draws(), window)
        assert torch.equal(pred, target)
        frames = min(window.num_frames or 6, 6)
        size = window.crop_size or (16, 20)
        assert pred.shape == (2, 3, frames, *size)
    assert torch.equal(
        decode_windows(autoencoder, z, gt, draws(), DecodeWindow())[1], gt
    )


@pytest.mark.parametrize('margin', [0, 2, 9])
@pytest.mark.parametrize('num_frames', [None, 4, 8, 16, 20])
def test_latents_of_several_frames(num_frames, margin):
    autoencoder = GroupingAutoencoder(downsample=2)
    gt = latents(8, frames=17, height=8, width=12)
    z = autoencoder.encode(gt)
    window = DecodeWindow(num_frames, crop_size=(4, 8), margin=margin)
    pred, target = decode_windows(autoencoder, z, gt, draws(8), window)
    assert torch.equal(pred, target)
    frames = 17 if num_frames in (None, 20) else num_frames
    assert pred.shape == (8, 3, frames, 4, 8)
    decoded = {
        None: 5,
        16: 5,
        20: 5,
        4: 1 + max(1, margin),
        8: 2 + max(1, margin),
    }
    (part,) = autoencoder.decoded
    assert part.shape[2] == min(5, decoded[num_frames])


def test_a_window_of_latents_can_be_anywhere():
    """Each frame but the first is seen; none falls between latents."""
    autoencoder = GroupingAutoencoder()
    gt = torch.arange(17.0).view(1, 1, 17, 1, 1).expand(40, 3, 17, 2, 2)
    z = autoencoder.encode(gt)
    for margin in (0, 3):
        window = DecodeWindow(num_frames=4, margin=margin)
        pred, _ = decode_windows(autoencoder, z, gt, draws(40), window)
        starts = set(pred[:, 0, 0, 0, 0].tolist())
        assert starts == {1, 5, 9, 13}
    with pytest.raises(ValueError, match='multiple of 4, got 6'):
        decode_windows(autoencoder, z, gt, draws(40), DecodeWindow(6))


def test_windows_differ_and_repeat():
    autoencoder = FoldingAutoencoder()
    gt = latents(8, frames=9, height=20, width=20)
    window = DecodeWindow(num_frames=1, crop_size=(2, 2))
    gt[:] = gt[:1]  # only the place of the window tells the clips apart
    first, _ = decode_windows(autoencoder, gt, gt, draws(8), window)
    again, _ = decode_windows(autoencoder, gt, gt, draws(8), window)
    assert torch.equal(first, again)
    assert len({x.item() for x in first[:, 0, 0, 0, 0]}) > 4


def test_a_small_clip_is_taken_whole():
    autoencoder = FoldingAutoencoder()
    gt = latents()
    window = DecodeWindow(num_frames=7, crop_size=(64, 4))
    pred, _ = decode_windows(autoencoder, gt, gt, draws(), window)
    assert pred.shape == (2, 3, 5, 8, 4)


def test_margin_is_what_the_decoder_needs():
    """With the reach of its convolution, the crop is that of all."""
    autoencoder = SmoothingAutoencoder()
    z = latents(height=12, width=12)
    whole = autoencoder.decode(z)
    equal = {}
    for margin in (0, 1):
        window = DecodeWindow(2, (5, 5), margin)
        pred, target = decode_windows(autoencoder, z, whole, draws(), window)
        equal[margin] = torch.allclose(pred, target, atol=1e-6)
    assert equal == {0: False, 1: True}


def test_gradient_passes_the_frozen_decoder():
    """Checkpointing decodes once more and changes nothing."""
    found = {}
    for checkpointing in (False, True):
        autoencoder = SmoothingAutoencoder()
        z = latents().requires_grad_(True)
        window = DecodeWindow(2, (4, 4), 1, checkpointing)
        pred, gt = decode_windows(autoencoder, z, z, draws(), window)
        calls = autoencoder.calls
        (pred - gt.detach()).square().sum().backward()
        assert autoencoder.calls == calls + checkpointing
        assert all(p.grad is None for p in autoencoder.parameters())
        touched = z.grad.abs().sum((1, 2)) > 0
        # a crop of 4 x 4 sees one more on each side
        assert 16 < touched[0].sum() <= 36
        found[checkpointing] = z.grad
    assert torch.equal(found[True], found[False])


@pytest.mark.parametrize(
    'fields, message',
    [
        ({'num_frames': 0}, '`num_frames` must be at least 1, got 0'),
        ({'margin': -1}, '`margin` must not be negative, got -1'),
        ({'crop_size': (0, 8)}, '`crop_size` must be a positive'),
        ({'crop_size': (8,)}, '`crop_size` must be a positive'),
    ],
)
def test_wrong_window(fields, message):
    with pytest.raises(ValueError, match=message):
        DecodeWindow(**fields)


def test_crop_between_latents():
    autoencoder = FoldingAutoencoder(downsample=2)
    gt = latents(height=8, width=8)
    z = autoencoder.encode(gt)
    with pytest.raises(ValueError, match='multiples of 2, got 4 x 5'):
        decode_windows(
            autoencoder, z, gt, draws(), DecodeWindow(crop_size=(4, 5))
        )
