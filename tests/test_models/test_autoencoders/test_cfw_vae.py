"""The autoencoder that sees the image, against diffusers' plain one."""

import pytest
import torch
from torch import Tensor, nn

from star.apis.inference.build import fill_random
from star.models.autoencoders.cfw_vae import (
    SCALING,
    CFWAutoencoder,
    KLEncoder,
    rename_fusion,
)

CHANNELS = (32, 32, 64, 64)


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


@pytest.fixture(scope='module')
def network() -> CFWAutoencoder:
    made = CFWAutoencoder(CHANNELS, 1, growth=8).eval()
    fill_random(made)
    return made


def plain(network: KLEncoder) -> nn.Module:
    from diffusers import AutoencoderKL  # after star, see compat

    made = AutoencoderKL(
        down_block_types=('DownEncoderBlock2D',) * 4,
        up_block_types=('UpDecoderBlock2D',) * 4,
        block_out_channels=CHANNELS,
        layers_per_block=1,
        latent_channels=4,
    ).eval()
    own = network.state_dict()
    made.load_state_dict({k: own[k] for k in made.state_dict()})
    return made


def test_without_the_image_it_is_stable_diffusions(network):
    torch.manual_seed(0)
    other, x = plain(network), torch.rand(2, 3, 32, 48) * 2 - 1
    posterior = network.encode(x)
    expected = other.encode(x).latent_dist
    torch.testing.assert_close(posterior.mean, expected.mean)
    torch.testing.assert_close(posterior.logvar, expected.logvar)
    noise = torch.randn(2, 4, 4, 6)
    z = expected.mean + expected.std * noise
    torch.testing.assert_close(posterior.sample(noise), SCALING * z)
    out = network.decode(SCALING * z, posterior.features, 0)
    # attention in pieces, and another order of sums
    close = {'rtol': 0, 'atol': 5e-5}
    torch.testing.assert_close(out, other.decode(z).sample, **close)


def test_the_image_counts_as_much_as_it_shall(network):
    x = torch.rand(1, 3, 32, 32) * 2 - 1
    posterior, z = network.encode(x), torch.randn(1, 4, 4, 4)
    torch.testing.assert_close(network.features(x), posterior.features)
    shapes = [tuple(f.shape[1:]) for f in posterior.features]
    assert shapes == [(32, 16, 16), (64, 8, 8)]
    none, half, all_ = (
        network.decode(z, posterior.features, w) for w in (0, 0.5, 1)
    )
    assert (none - half).abs().max() > 0.01
    assert (half - all_).abs().max() > 0.01


def test_layers_follow_every_block_but_the_second_of_the_middle():
    called: list[int] = []

    class Counted(nn.Module):
        def __init__(self, dim: int) -> None:
            super().__init__()
            self.dim = dim

        def forward(self, x: Tensor) -> Tensor:
            called.append(self.dim)
            assert x.shape[1] == self.dim
            return x

    network = CFWAutoencoder(CHANNELS, 1, make_mixing=Counted).eval()
    fill_random(network)
    z = torch.randn(1, 4, 2, 3)
    out = network.decode(z, network.features(torch.rand(1, 3, 16, 24)), 1)
    assert out.shape == (1, 3, 16, 24)
    assert called == [64, 64, 64, 64, 64, 32, 32, 32, 32]


def test_the_middle_of_a_fusion_can_be_another():
    network = CFWAutoencoder(CHANNELS, 1, make_middle=lambda dim: nn.ReLU())
    names = {k for k in network.state_dict() if k.startswith('fusions.2.')}
    assert not any('encode_enc_2' in name for name in names) and names


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        (
            'decoder.fusion_layer_2.encode_enc_1.conv_out.weight',
            'fusions.2.encode_enc_1.conv_shortcut.weight',
        ),
        (
            'decoder.temporal_mixing.temporal_alpha',
            'first_mixing.temporal_alpha',
        ),
        (
            'decoder.up.3.temporal_mixing.1.temporal_conv.bias',
            'mixings.3.1.temporal_conv.bias',
        ),
        ('decoder.conv_out.weight', 'decoder.conv_out.weight'),
    ],
)
def test_names_of_what_diffusers_does_not_have(name: str, expected: str):
    assert rename_fusion(name) == expected
