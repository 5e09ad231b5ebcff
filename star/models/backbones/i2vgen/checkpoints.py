"""Names of official STAR and VEnhancer weights, and their mapping to ours."""

import re
from collections.abc import Collection, Mapping, Set

import torch
from torch import Tensor, nn

from star.utils.state_dicts import find_misfits, load_strict

StateDict = dict[str, Tensor]

# (ours, official) within a block of the network; "temopral" is the official
# spelling in every file.
_NETWORK = [
    (r'^encoder\.', ''),
    (r'^hint_conv\.', 'input_hint_block.'),
    (r'^zero_convs\.(\d+)\.', r'zero_convs.\1.0.'),
    (r'^middle_out\.', 'middle_block_out.0.'),
    (r'^norm_out\.', 'out.0.'),
    (r'^conv_out\.', 'out.2.'),
    (r'^input_blocks\.0\.conv\.', 'input_blocks.0.0.'),
    (r'^input_blocks\.0\.temporal\.', 'input_blocks.0.1.'),
    (r'^(input_blocks\.\d+)\.conv\.', r'\1.op.'),
    (r'^middle_block\.res2\.', 'middle_block.3.'),
    (r'\.res1?\.', '.0.'),
    (r'\.spatial\.', '.1.'),
    (r'\.temporal\.', '.2.'),
]
_RES_BLOCK = [
    (r'^norm1\.', 'in_layers.0.'),
    (r'^conv1\.', 'in_layers.2.'),
    (r'^time_proj\.', 'emb_layers.1.'),
    (r'^norm2\.', 'out_layers.0.'),
    (r'^conv2\.', 'out_layers.3.'),
    (r'^skip\.', 'skip_connection.'),
    (r'^temporal_conv\.layers\.0\.conv\.', 'temopral_conv.conv1.2.'),
    (r'^temporal_conv\.layers\.0\.', 'temopral_conv.conv1.'),
    (r'^temporal_conv\.layers\.1\.', 'temopral_conv.conv2.'),
    (r'^temporal_conv\.layers\.2\.', 'temopral_conv.conv3.'),
    (r'^temporal_conv\.layers\.3\.', 'temopral_conv.conv4.'),
    (r'(conv\d)\.norm\.', r'\1.0.'),
    (r'(conv\d)\.conv\.', r'\1.3.'),
]
_TRANSFORMER = [
    (r'^(?!norm\.|proj_)', 'transformer_blocks.0.'),
    (r'\.ff\.proj_in\.', '.ff.net.0.proj.'),
    (r'\.ff\.proj_out\.', '.ff.net.2.'),
    (r'\.to_out\.', '.to_out.0.'),
    (r'\.(local\d)\.conv\.', r'.\1.conv1.'),
]
# Linear layers here that are 1x1 convolutions there, temporal convolutions
# that are 3-D there: dimensions of size one that the official shape appends.
_APPENDED = [
    (r'\.res\d?\.skip\.weight$', 2),
    (r'^(zero_convs\.\d+|middle_out)\.weight$', 2),
    (r'\.temporal\.proj_(in|out)\.weight$', 1),
    (r'\.temporal_conv\.layers\.\d\.conv\.weight$', 1),
]
_LIEM = re.compile(r'\.local[12]\.conv\.weight$')
_LORA = re.compile(r'\.lora\.[ab]$')
_PART = re.compile(
    r'^(?P<block>.*?)(?P<layer>\.(?:res\d?|spatial|temporal)\.)(?P<rest>.*)$'
)
# Only VEnhancer's network has these: the conditions on the upscaling factor
# and on the noise of the hint. It has no LIEM.
_VENHANCER_ONLY = re.compile(
    r'^(VideoControlNet\.)?(scale_cond|hint_time_zero_linear)\.'
)


def official_name(name: str, names: Collection[str]) -> str:
    """Translate one of our names into the official one.

    Args:
        name: of a parameter, with the prefix 'backbone.' or 'controlnet.'.
        names: all names of the model.
    """
    network, _, name = name.partition('.')
    prefix = 'VideoControlNet.' if network == 'controlnet' else ''
    if '.up.' in name:
        block, _, rest = name.partition('.up.')
        attention = f'{network}.{block}.spatial.proj_in.weight' in names
        return f'{prefix}{block}.{3 if attention else 1}.{rest}'
    part = _PART.match(name)
    if part is None:
        return prefix + _rename(name, _NETWORK)
    rules = _RES_BLOCK if '.res' in part['layer'] else _TRANSFORMER
    head = _rename(part['block'] + part['layer'], _NETWORK)
    return prefix + head + _rename(part['rest'], rules)


def to_official(state: Mapping[str, Tensor]) -> StateDict:
    """Translate our state dict into the official one; nothing is copied.

    Args:
        state: keys with the prefix 'backbone.' or 'controlnet.'.
    """
    return {
        official_name(name, state): tensor.reshape(
            [*tensor.shape, *[1] * _appended(name)]
        )
        for name, tensor in state.items()
    }


def from_official(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> StateDict:
    """Translate an official state dict into ours; nothing is copied.

    Args:
        state: official names, as `read_state` gives them.
        expected: our names and tensors of the right shapes, possibly meta.

    Returns:
        Our names; without LIEM if `state` is VEnhancer's, and without LoRA,
        which no official file has.

    Raises:
        ValueError: names or shapes that do not match.
    """
    table = {official_name(name, expected): name for name in expected}
    needed = {k for k, name in table.items() if not _LORA.search(name)}
    liem = {k for k, name in table.items() if _LIEM.search(name)}
    kept = {k: v for k, v in state.items() if not _VENHANCER_ONLY.match(k)}
    if len(kept) < len(state) and not liem & kept.keys():
        state, needed = kept, needed - liem
    shapes = {k: expected[name] for k, name in table.items()}
    fitted = _fit(state, shapes, needed)
    return {table[k]: fitted[k] for k in table if k in fitted}


def star_state(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> StateDict:
    """Translate any accepted checkpoint into all of our names.

    Args:
        state: ours, official STAR or VEnhancer v2, as `read_state` gives it.
        expected: our names and tensors of the right shapes, possibly meta.

    Returns:
        A tensor for every name of `expected`. VEnhancer has no LIEM, and a
        base model no LoRA: these are taken from `expected`, or initialised
        if they are on meta.

    Raises:
        ValueError: names or shapes that do not match.
    """
    if any(name.startswith('backbone.') for name in state):
        trained = any(_LORA.search(k) for k in state)
        needed = {k for k in expected if trained or not _LORA.search(k)}
        found = _fit(state, expected, needed)
    else:
        found = from_official(state, expected)
    return {
        k: found[k] if k in found else _initial(k, tensor)
        for k, tensor in expected.items()
    }


def network_state(backbone: nn.Module, controlnet: nn.Module) -> StateDict:
    """Join the two networks' state dicts under our prefixes."""
    parts = {'backbone.': backbone, 'controlnet.': controlnet}
    return {
        prefix + name: tensor
        for prefix, part in parts.items()
        for name, tensor in part.state_dict().items()
    }


def load_star_weights(
    backbone: nn.Module, controlnet: nn.Module, state: Mapping[str, Tensor]
) -> None:
    """Load a checkpoint into the two networks.

    Networks on meta take the checkpoint's tensors themselves, so that they
    are in memory once; into other networks the tensors are copied.

    Args:
        backbone: an `I2VGenUNet`.
        controlnet: its `UNetControlNet`.
        state: ours, official STAR or VEnhancer v2; see `star_state`.

    Raises:
        ValueError: names or shapes that do not match.
    """
    expected = network_state(backbone, controlnet)
    found = star_state(state, expected)
    for prefix, part in (('backbone.', backbone), ('controlnet.', controlnet)):
        own = {
            name.removeprefix(prefix): tensor
            for name, tensor in found.items()
            if name.startswith(prefix)
        }
        load_strict(part, own, 'checkpoint')


def _fit(
    state: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    needed: Set[str],
) -> StateDict:
    """Drop dimensions of size one that the official shapes append."""
    fitted = {
        name: _drop_appended(tensor, expected[name].ndim)
        if name in expected
        else tensor
        for name, tensor in state.items()
    }
    misfits = find_misfits(expected, fitted, needed)
    if misfits:
        raise ValueError(f'checkpoint does not fit: {misfits}')
    return fitted


def _drop_appended(tensor: Tensor, ndim: int) -> Tensor:
    if all(side == 1 for side in tensor.shape[ndim:]):
        return tensor.reshape(tensor.shape[:ndim])
    return tensor


def _initial(name: str, tensor: Tensor) -> Tensor:
    """Initialise a tensor of LIEM or LoRA as in a new layer."""
    if not tensor.is_meta:
        return tensor
    weight = torch.zeros_like(tensor, device='cpu')
    if not name.endswith('.lora.b'):
        nn.init.kaiming_uniform_(weight, a=5**0.5)
    return weight


def _appended(name: str) -> int:
    name = name.partition('.')[2]
    return next((n for rule, n in _APPENDED if re.search(rule, name)), 0)


def _rename(name: str, rules: list[tuple[str, str]]) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name
