"""Names of Stable Diffusion's original files in our networks."""

import re
from collections.abc import Mapping

from torch import Tensor

from star.models.backbones.stable_diffusion.spade_unet import SpadeUNet

_BLOCK = {
    'in_layers.0': 'norm1',
    'in_layers.2': 'conv1',
    'emb_layers.1': 'time_emb_proj',
    'out_layers.0': 'norm2',
    'out_layers.3': 'conv2',
    'skip_connection': 'conv_shortcut',
}
_OUTER = {
    'time_embed.0': 'time_embedding.linear_1',
    'time_embed.2': 'time_embedding.linear_2',
    'input_blocks.0.0': 'conv_in',
    'out.0': 'conv_norm_out',
    'out.2': 'conv_out',
}
_MIDDLE = re.compile(r'middle_block\.(\d+)\.(.+)')
_SIDE = re.compile(r'(input|output)_blocks\.(\d+)\.(\d+)\.(.+)')


def rename_block(name: str) -> str:
    """Rename a tensor within a residual block as diffusers has it.

    Args:
        name: such as 'in_layers.0.weight', with or without a prefix.
    """
    return re.sub(
        '(' + '|'.join(map(re.escape, _BLOCK)) + r')(?=\.\w+$)',
        lambda match: _BLOCK[match[0]],
        name,
    )


def rename_unet(name: str, layers: int, middle: Mapping[int, str]) -> str:
    """Rename a tensor of the UNet as diffusers' `UNet2DConditionModel` has it.

    Names of what diffusers does not have (SPADE) follow the same rules; a
    name that fits none is returned as it is.

    Args:
        name: such as 'input_blocks.1.0.in_layers.0.weight'.
        layers: residual blocks of a level.
        middle: where the modules of `middle_block` are, by their number.
    """
    module, _, kind = name.rpartition('.')
    if module in _OUTER:
        return f'{_OUTER[module]}.{kind}'
    if match := _MIDDLE.fullmatch(name):
        number, tail = int(match[1]), match[2]
        return f'{middle.get(number, name)}.{rename_block(tail)}'
    if not (match := _SIDE.fullmatch(name)):
        return name
    side, block, part, tail = match.groups()
    level, index = divmod(int(block) - (side == 'input'), layers + 1)
    path = f'{"down" if side == "input" else "up"}_blocks.{level}'
    if tail.startswith('op.'):
        return f'{path}.downsamplers.0.conv.{kind}'
    if tail.startswith('conv.'):
        return f'{path}.upsamplers.0.conv.{kind}'
    row = 'attentions' if int(part) else 'resnets'
    return f'{path}.{row}.{index}.{rename_block(tail)}'


def unet_state(
    network: SpadeUNet, state: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Rename the tensors of an official UNet for ours.

    Args:
        network: with or without further layers in the middle; these count in
            the numbers of the official middle block.
        state: tensors by official name.
    """
    middle = middle_names(network)
    renamed = {}
    for name, tensor in state.items():
        own = rename_unet(name, network.layers, middle)
        inner = own.startswith('after_middle')
        renamed[own if inner else f'unet.{own}'] = tensor
    return renamed


def middle_names(network: SpadeUNet) -> dict[int, str]:
    """Return where each module of the official middle block is."""
    mids = ('resnets.0', 'attentions.0', 'resnets.1')
    paths = []
    for index, mid in enumerate(mids):
        paths.append(f'mid_block.{mid}')
        if any(True for _ in network.after_middle[index].parameters()):
            paths.append(f'after_middle.{index}')
    return dict(enumerate(paths))


def structure_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of an official structure encoder for ours."""
    return {rename_block(name): tensor for name, tensor in state.items()}
