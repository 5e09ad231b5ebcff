"""The UNet and its modulation; the official numbers are in test_reference."""

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from star.apis.inference.build import fill_random
from star.models.backbones.stable_diffusion.names import (
    middle_names,
    rename_unet,
)
from star.models.backbones.stable_diffusion.spade_unet import SpadeUNet, spread
from star.models.backbones.stable_diffusion.structure_encoder import (
    PixelAttention,
    StructureEncoder,
)
from star.models.layers.residual_block import SPADE
from star.utils.memory_counter import MemoryCounter, empty_tensors

SIZES = {
    'channels': (32, 64),
    'layers': 1,
    'attention_levels': (0,),
    'head_dim': 16,
    'context': 12,
    'structure': 32,
}


class Times(nn.Module):
    """Multiplies by a parameter."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor([value]))

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


def build(**changes) -> SpadeUNet:
    network = SpadeUNet(**{**SIZES, **changes}).eval()
    fill_random(network)
    return network


def inputs(height: int = 6, width: int = 8, count: int = 2) -> dict:
    draw = torch.Generator().manual_seed(1)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=draw)

    small = (height + 1) // 2, (width + 1) // 2
    return {
        'x': random(count, 4, height, width),
        't': torch.tensor([700, 3][:count]),
        'text': random(count, 5, 12),
        'structure': {
            width: random(count, 32, height, width),
            small[1]: random(count, 32, *small),
        },
    }


def test_is_the_plain_unet_without_modulation():
    from diffusers import UNet2DConditionModel  # after star, see compat

    network, given = build(), inputs()
    for module in network.modules():
        if isinstance(module, SPADE):  # norm(x) instead of x
            module.forward = lambda x, structure: x
    plain = UNet2DConditionModel(
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=('CrossAttnDownBlock2D', 'DownBlock2D'),
        up_block_types=('UpBlock2D', 'CrossAttnUpBlock2D'),
        attention_head_dim=(2, 4),
        cross_attention_dim=12,
        use_linear_projection=True,
    ).eval()
    own = network.unet.state_dict()
    plain.load_state_dict({k: v for k, v in own.items() if 'spade' not in k})
    expected = plain(given['x'], given['t'], given['text']).sample
    torch.testing.assert_close(network(**given), expected)


def test_modulation_changes_the_scale_and_the_shift():
    spade = SPADE(32, 32)
    fill_random(spade)
    x, structure = torch.randn(1, 32, 4, 5), torch.zeros(1, 32, 4, 5)
    for conv in (spade.mlp_gamma, spade.mlp_beta):
        conv.weight.zero_()
    spade.mlp_gamma.bias.fill_(2)
    spade.mlp_beta.bias.fill_(0.5)
    expected = 3 * spade.param_free_norm(x) + 0.5
    torch.testing.assert_close(spade(x, structure), expected)


@pytest.mark.parametrize(('height', 'width'), [(5, 7), (6, 10)])
def test_takes_any_size(height: int, width: int):
    given = inputs(height, width)
    assert build()(**given).shape == given['x'].shape


def test_one_timestep_and_one_text_serve_several_latents():
    network, given = build(), inputs()
    one = {**given, 't': given['t'][:1], 'text': given['text'][:1]}
    each = {
        **given,
        't': given['t'][:1].expand(2),
        'text': given['text'][:1].expand(2, -1, -1),
    }
    torch.testing.assert_close(network(**one), network(**each))


def test_rows_are_spread_in_order():
    rows = torch.tensor([[1.0], [2.0]])
    assert spread(rows, 6).flatten().tolist() == [1, 1, 1, 2, 2, 2]
    assert spread(rows[:1], 3).flatten().tolist() == [1, 1, 1]


def test_layers_of_the_middle_have_their_places_and_names():
    first, last = Times(2.0), Times(3.0)
    network = build(after_middle=(first, None, last))
    first.factor.fill_(2)
    last.factor.fill_(3)
    plain = build()
    own = network.state_dict()
    plain.load_state_dict({k: own[k] for k in plain.state_dict()})
    plain.unet.mid_block.resnets[0].register_forward_hook(
        lambda module, args, out: 2 * out
    )
    plain.unet.mid_block.resnets[1].register_forward_hook(
        lambda module, args, out: 3 * out
    )
    given = inputs()
    torch.testing.assert_close(network(**given), plain(**given))
    names = middle_names(network)
    assert rename_unet('middle_block.1.factor', 1, names) == (
        'after_middle.0.factor'
    )
    assert rename_unet('middle_block.4.factor', 1, names) == (
        'after_middle.2.factor'
    )
    assert rename_unet('middle_block.2.proj_in.weight', 1, names) == (
        'mid_block.attentions.0.proj_in.weight'
    )


@pytest.mark.parametrize(
    'name',
    ['somewhere.else.weight', 'middle_block.9.norm.weight', 'input_blocks'],
)
def test_foreign_names_survive(name: str):
    found = rename_unet(name, 2, {0: 'mid_block.resnets.0'})
    assert name in found


def test_structure_has_a_feature_for_each_level():
    encoder = StructureEncoder((32, 64, 64), 1, (0, 1), 2, 32).eval()
    fill_random(encoder)
    x = torch.randn(2, 4, 12, 20)
    found = encoder(x, torch.tensor([5]))
    shapes = {width: tuple(f.shape) for width, f in found.items()}
    assert shapes == {
        20: (2, 32, 12, 20),
        10: (2, 32, 6, 10),
        5: (2, 32, 3, 5),
    }
    later = encoder(x, torch.tensor([900]))
    assert (found[10] - later[10]).abs().max() > 0.01  # it knows the time


def test_attention_holds_no_matrix_of_all_scores():
    """A layout that fused kernels refuse would be 16 times as large."""
    with torch.device('meta'):
        layer = PixelAttention(256, 4)
    with FakeTensorMode(), torch.device('cpu'), torch.inference_mode():
        empty_tensors(layer, torch.bfloat16)
        x = torch.zeros(1, 256, 64, 64, dtype=torch.bfloat16)
        with MemoryCounter() as memory, FlopCounterMode(display=False):
            layer(x)
    assert memory.peak < 12 * x.nbytes


def test_results_have_the_dtype_of_the_latents():
    network, given = build().to(torch.bfloat16), inputs()
    exact = build()(**given)
    found = network(**given)
    assert found.dtype == torch.float32
    assert (found - exact).abs().max() < 0.1 * exact.abs().max()
