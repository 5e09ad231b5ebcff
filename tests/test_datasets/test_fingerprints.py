import pytest
import torch
from mmengine.config import ConfigDict
from torch import nn

from star.datasets.fingerprints import difference, hash_weights, plain


def test_plain_values():
    config = ConfigDict(
        {'a': {'sizes': (1, 2.5), 'kind': nn.Linear, 'none': None}, 'b': 'x'}
    )
    assert plain(config) == {
        'a': {'sizes': [1, 2.5], 'kind': 'Linear', 'none': None},
        'b': 'x',
    }


def test_places_and_speed_do_not_matter():
    config = {'type': 'TemporalVAE', 'latent_channels': 4}
    others = {'pretrained': 'vae.pt', 'encode_batch': 8, 'decode_window': 1}
    assert plain({**config, **others}) == config
    # only options of the part itself
    nested = {'part': {'pretrained': 'vae.pt'}}
    assert plain(nested) == nested


@pytest.mark.parametrize(
    ('there', 'here', 'text'),
    [
        ({'a': [{'b': 1}]}, {'a': [{'b': 2}]}, 'n.a.0.b is 1 there and 2'),
        ({'a': 1}, {}, 'n.a is 1 there and not set here'),
        ({'a': [1]}, {'a': [1, 2]}, 'n.a.1 is not set there and 2 here'),
        ({'a': 'x' * 99}, {'a': 1}, "n.a is '" + 'x' * 56 + '... there'),
    ],
)
def test_difference(there, here, text):
    assert difference(there, here, 'n').startswith(text)
    assert difference(here, there)


def test_no_difference():
    config = {'a': [1, {'b': None}], 'c': 0.1}
    assert difference(config, {'a': [1, {}], 'c': 0.1}) == ''


class Coder(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Linear(3, 2)
        self.decoder = nn.Linear(2, 3)
        self.post_quant_conv = nn.Linear(2, 2)


def test_hash_of_weights():
    coder, twin = Coder(), Coder()
    first = hash_weights(coder)
    assert len(first) == 64
    assert hash_weights(twin) == first
    nn.init.zeros_(twin.decoder.weight)
    nn.init.zeros_(twin.post_quant_conv.bias)
    assert hash_weights(twin) == first  # they have no part in latents
    assert hash_weights(coder.to(torch.bfloat16)) == first
    with torch.no_grad():
        twin.encoder.weight[1, 2] += 0.1
    assert hash_weights(twin) != first


def test_hash_knows_names_and_shapes():
    a, b = nn.Module(), nn.Module()
    a.register_buffer('x', torch.zeros(2, 3))
    b.register_buffer('x', torch.zeros(3, 2))
    c = nn.Module()
    c.register_buffer('y', torch.zeros(2, 3))
    empty = nn.Module()
    hashes = {hash_weights(module) for module in (a, b, c, empty)}
    assert len(hashes) == 4
