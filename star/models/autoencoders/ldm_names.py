"""Names of the autoencoders of latent diffusion's original files."""

import re
from collections.abc import Mapping

from torch import Tensor

_MID = {
    'block_1': 'resnets.0',
    'attn_1': 'attentions.0',
    'block_2': 'resnets.1',
}
_ATTENTION = {
    'norm': 'group_norm',
    'q': 'to_q',
    'k': 'to_k',
    'v': 'to_v',
    'proj_out': 'to_out.0',
}
_SAMPLERS = {'downsample': 'downsamplers.0', 'upsample': 'upsamplers.0'}
_BLOCK = re.compile(r'(encoder|decoder)\.(down|up)\.(\d+)\.block\.(\d+)\.(.+)')
_SAMPLER = re.compile(
    r'(encoder|decoder)\.(down|up)\.(\d+)\.(downsample|upsample)\.(.+)'
)
_MIDDLE = re.compile(r'(encoder|decoder)\.mid\.(block_1|attn_1|block_2)\.(.+)')


def rename_ldm(name: str, levels: int) -> str:
    """Rename a tensor as diffusers' `AutoencoderKL` and `VQModel` have it.

    Args:
        name: such as 'decoder.up.0.block.1.nin_shortcut.weight'.
        levels: of the autoencoder: the original files count those of the
            decoder from the finest, diffusers from the coarsest.

    Returns:
        The name in diffusers; `name` itself where both agree, or where it
        belongs to nothing that diffusers has.
    """
    if match := _BLOCK.fullmatch(name):
        side, way, level, block, tail = match.groups()
        tail = tail.replace('nin_shortcut', 'conv_shortcut')
        return f'{_level(side, way, level, levels)}.resnets.{block}.{tail}'
    if match := _SAMPLER.fullmatch(name):
        side, way, level, sampler, tail = match.groups()
        place = _level(side, way, level, levels)
        return f'{place}.{_SAMPLERS[sampler]}.{tail}'
    if match := _MIDDLE.fullmatch(name):
        side, part, tail = match.groups()
        if part == 'attn_1':
            layer, _, kind = tail.partition('.')
            tail = f'{_ATTENTION.get(layer, layer)}.{kind}'
        return f'{side}.mid_block.{_MID[part]}.{tail}'
    return name.replace('.norm_out.', '.conv_norm_out.')


def from_ldm(state: Mapping[str, Tensor], levels: int) -> dict[str, Tensor]:
    """Rename an autoencoder's tensors as diffusers has them.

    Attention in the original files is made of 1x1 convolutions, in diffusers
    of linear layers: their last two axes are dropped.

    Args:
        state: tensors by original name.
        levels: of the autoencoder.
    """
    renamed = {}
    for name, tensor in state.items():
        own = rename_ldm(name, levels)
        if '.attentions.0.to_' in own and tensor.ndim == 4:
            tensor = tensor.flatten(1)
        renamed[own] = tensor
    return renamed


def _level(side: str, way: str, level: str, levels: int) -> str:
    index = levels - 1 - int(level) if side == 'decoder' else int(level)
    return f'{side}.{way}_blocks.{index}'
