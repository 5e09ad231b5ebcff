"""Small networks with weights that hide nothing."""

import torch

from star.models.backbones import I2VGenUNet
from star.models.controlnets import UNetControlNet

SIZES = {
    'dim': 32,
    'dim_mult': (1, 2),
    'num_res_blocks': 1,
    'head_dim': 16,
    'num_heads': 3,
    'context_dim': 12,
    'attn_levels': 1,
    'time_padding': 'zeros',
}


@torch.no_grad()
def randomize(network, seed=0, scale=0.05):
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in network.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        one = parameter.ndim == 1 and name.endswith('weight')
        parameter.copy_(noise * scale + float(one))
    return network.eval()


def small_options(options=None):
    """Options of a small network; those of `SIZES` are changed in `sizes`."""
    options = dict(options or {})
    sizes = {name: options.pop(name, value) for name, value in SIZES.items()}
    return {'in_dim': 6, 'sizes': sizes, **options}


def small_backbone(random=True, **options):
    network = I2VGenUNet(out_dim=5, **small_options(options)).eval()
    return randomize(network, 0) if random else network


def small_controlnet(random=True, **options):
    network = UNetControlNet(**small_options(options)).eval()
    return randomize(network, 1) if random else network


def small_inputs(n=2, t=3, h=6, w=8):
    """Noised latents, timesteps, text and low-quality latents."""
    generator = torch.Generator().manual_seed(3)
    z_t, z_lq = torch.randn(2, n, 6, t, h, w, generator=generator)
    text = torch.randn(n, 4, 12, generator=generator)
    return z_t, torch.arange(n) * 450 + 3, text, z_lq
