"""Official STAR and VEnhancer weights <-> ours; safe reading of files."""

import hashlib
import pickle
import re
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

StateDict = dict[str, Tensor]

# (ours, official) within a part of the network; "temopral" is the official
# spelling, in every file.
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
# What VEnhancer's network has besides: the conditions on the upscaling
# factor and on the noise of the hint. It has no LIEM.
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
        state: official names, as `unwrap` gives them.
        expected: our names and tensors of the right shapes, possibly meta.

    Returns:
        Our names; without LIEM if `state` is VEnhancer's.

    Raises:
        ValueError: names or shapes that do not match.
    """
    table = {official_name(name, expected): name for name in expected}
    missing = sorted(table.keys() - state.keys())
    unexpected = sorted(state.keys() - table.keys())
    liem = sorted(k for k, name in table.items() if _LIEM.search(name))
    venhancer = [k for k in unexpected if _VENHANCER_ONLY.match(k)]
    if venhancer and missing == liem:
        missing = []
        unexpected = sorted(set(unexpected) - set(venhancer))
    refuse_names(missing, unexpected)
    return {
        table[k]: _fit(k, state[k], expected[table[k]])
        for k in table
        if k in state
    }


def unwrap(checkpoint: Mapping) -> StateDict:
    """Find the tensors in what a file holds.

    Args:
        checkpoint: a state dict, or a dict with one under 'state_dict'; all
            names may start with 'module.'.

    Raises:
        ValueError: something else.
    """
    state = checkpoint.get('state_dict', checkpoint)
    if not isinstance(state, Mapping) or not state:
        raise ValueError('checkpoint holds no state dict')
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise ValueError(
                f'checkpoint entry {name!r} is no tensor but '
                f'{type(value).__name__}'
            )
    if all(name.startswith('module.') for name in state):
        return {k.removeprefix('module.'): v for k, v in state.items()}
    return dict(state)


def star_state(
    checkpoint: Mapping, expected: Mapping[str, Tensor]
) -> StateDict:
    """Translate any accepted checkpoint into our names, nothing missing.

    Args:
        checkpoint: ours, official STAR or VEnhancer v2, wrapped or not.
        expected: our names and tensors of the right shapes, possibly meta.

    Returns:
        A tensor for every name of `expected`. VEnhancer has no LIEM, and
        what training starts from no LoRA: those are taken from `expected`, or
        initialised where they are on meta.

    Raises:
        ValueError: names or shapes that do not match.
    """
    state = unwrap(checkpoint)
    if any(name.startswith('backbone.') for name in state):
        trained = any(_LORA.search(k) for k in state)
        missing = [
            k
            for k in expected.keys() - state.keys()
            if trained or not _LORA.search(k)
        ]
        refuse_names(sorted(missing), sorted(state.keys() - expected.keys()))
        state = {
            k: _fit(k, state[k], expected[k]) for k in expected if k in state
        }
    else:
        state = from_official(state, expected)
    return {
        k: state[k] if k in state else _initial(k, tensor)
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
    backbone: nn.Module, controlnet: nn.Module, checkpoint: Mapping
) -> None:
    """Load a checkpoint into the two networks.

    Networks on meta take the checkpoint's tensors themselves, so that nothing
    is held twice; others are copied into.

    Args:
        backbone: an `I2VGenUNet`.
        controlnet: its `UNetControlNet`.
        checkpoint: ours, official STAR or VEnhancer v2; see `star_state`.

    Raises:
        ValueError: names or shapes that do not match.
    """
    expected = network_state(backbone, controlnet)
    state = star_state(checkpoint, expected)
    for prefix, part in (('backbone.', backbone), ('controlnet.', controlnet)):
        own = {
            name.removeprefix(prefix): tensor
            for name, tensor in state.items()
            if name.startswith(prefix)
        }
        on_meta = any(p.is_meta for p in part.parameters())
        part.load_state_dict(own, strict=True, assign=on_meta)


def load_checkpoint_file(path: str | Path) -> dict:
    """Read a file of tensors without running code from it.

    Args:
        path: `.safetensors`, or anything `torch.save` wrote. Tensors are
            mapped, not read, where the format allows it.

    Raises:
        ValueError: the file is absent, damaged, or holds more than tensors.
    """
    path = Path(path)
    try:
        if path.suffix == '.safetensors':
            return load_file(path)
        loaded = torch.load(
            path,
            map_location='cpu',
            weights_only=True,
            mmap=_is_mappable(path),
        )
    except pickle.UnpicklingError:
        raise ValueError(
            f'{path}: not a plain file of tensors (it is damaged or holds '
            'code, which is never run)'
        ) from None
    except Exception as error:  # noise, read as a pickle, raises anything
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f'{path}: cannot be read ({reason})') from None
    if not isinstance(loaded, dict):
        raise ValueError(
            f'{path}: holds a {type(loaded).__name__}, not a state dict'
        )
    return loaded


def _is_mappable(path: Path) -> bool:
    """Tell whether a file's tensors lie in it uncompressed."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as file:
        kinds = {entry.compress_type for entry in file.infolist()}
    return kinds == {zipfile.ZIP_STORED}


def sha256_of(path: str | Path) -> str:
    """Compute a file's SHA-256 as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def verify_sha256(path: str | Path, expected: str) -> None:
    """Check that a file is the one it should be.

    Args:
        path: the file.
        expected: its SHA-256, 64 hexadecimal digits.

    Raises:
        ValueError: it is another.
    """
    actual = sha256_of(path)
    if actual != expected.lower():
        raise ValueError(
            f'{path}: SHA-256 is {actual}, expected {expected}: the file is '
            'damaged or another version'
        )


def _fit(name: str, tensor: Tensor, expected: Tensor) -> Tensor:
    shape = [side for side in tensor.shape[expected.ndim :] if side != 1]
    if shape or tensor.shape[: expected.ndim] != expected.shape:
        raise ValueError(
            f'checkpoint entry {name!r} is {tuple(tensor.shape)}, expected '
            f'{tuple(expected.shape)}'
        )
    return tensor.reshape(expected.shape)


def refuse_names(missing: list[str], unexpected: list[str]) -> None:
    """Refuse a checkpoint whose names are not those that are needed.

    Raises:
        ValueError: either list is not empty; it names what they hold.
    """
    if missing or unexpected:
        raise ValueError(
            f'checkpoint does not fit: {_listed(missing, "missing")}, '
            f'{_listed(unexpected, "unexpected")}'
        )


def _listed(names: list[str], what: str) -> str:
    shown = ', '.join(names[:20])
    more = f' and {len(names) - 20} more' if len(names) > 20 else ''
    return f'{len(names)} {what} keys ({shown}{more})'


def _initial(name: str, tensor: Tensor) -> Tensor:
    """Initialise LIEM or LoRA as a new layer's."""
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
