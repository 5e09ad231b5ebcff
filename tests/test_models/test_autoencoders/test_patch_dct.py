import cv2
import numpy as np
import pytest
import torch

from star.models.autoencoders.patch_dct import PatchDCT, dct_basis, dct_gains


@pytest.mark.parametrize('patch', [1, 2, 4])
def test_decoding_gives_the_clip_back(patch):
    torch.manual_seed(0)
    x = torch.randn(2, 3, 3, 2 * patch, 5 * patch)
    coder = PatchDCT(patch)
    z = coder.encode(x)
    assert z.shape == (2, 3 * patch**2, 3, 2, 5)
    torch.testing.assert_close(coder.decode(z), x, rtol=0, atol=1e-5)


def test_coefficients_are_those_of_opencv():
    torch.manual_seed(0)
    x = torch.randn(1, 3, 1, 8, 8)
    z = PatchDCT(4).encode(x)[0, :, 0].view(3, 4, 4, 2, 2)
    gains = dct_gains(4).view(4, 4).numpy()
    for color in range(3):
        patch = x[0, color, 0, 4:, :4].numpy()
        expected = cv2.dct(np.ascontiguousarray(patch)) * gains
        got = z[color, :, :, 1, 0].numpy()
        np.testing.assert_allclose(got, expected, atol=1e-5)


def test_a_grey_clip_has_only_means():
    z = PatchDCT(4).encode(torch.full((1, 3, 2, 8, 8), 0.5))
    means = z.view(3, 16, -1)[:, 0]
    torch.testing.assert_close(means, torch.full_like(means, 1.0))
    assert z.view(3, 16, -1)[:, 1:].abs().max() < 1e-6


def test_basis_is_orthonormal():
    basis = dct_basis(4)
    torch.testing.assert_close(basis @ basis.T, torch.eye(16))


def test_windows_are_the_whole():
    torch.manual_seed(0)
    z = torch.randn(1, 48, 5, 2, 3)
    coder = PatchDCT(4, decode_window=2)
    pieces = list(coder.decode_pieces(z))
    assert [piece.shape[2] for piece in pieces] == [2, 2, 1]
    assert torch.equal(torch.cat(pieces, 2), coder.decode(z))


def test_precision_of_the_model_does_not_matter():
    torch.manual_seed(0)
    x = torch.randn(1, 3, 1, 8, 8)
    z = PatchDCT(4).to(torch.bfloat16).encode(x)
    assert torch.equal(z, PatchDCT(4).encode(x))
    half = PatchDCT(4).encode(x.bfloat16())
    assert half.dtype == torch.bfloat16


def test_gradient_passes():
    z = torch.randn(1, 48, 1, 2, 2, requires_grad=True)
    coder = PatchDCT(4)
    coder.decode(z).square().sum().backward()
    gains = dct_gains(4).repeat(3).view(48, 1, 1, 1)
    assert z.grad is not None
    torch.testing.assert_close(z.grad, 2 * z.detach() / gains.square())


@pytest.mark.parametrize('name', ['patch_size', 'decode_window'])
def test_options_below_one_are_refused(name):
    with pytest.raises(ValueError, match=f'`{name}` must be at least 1'):
        PatchDCT(**{name: 0})


def test_sides_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match='multiples of 4, got 10 x 8'):
        PatchDCT(4).encode(torch.zeros(1, 3, 1, 10, 8))
