"""Conversion of official and base weights for CogVideoXDiT."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from star.models.backbones.cogvideox.dit import CogVideoXDiT
from star.models.backbones.cogvideox.names import Place, find_place, lora_names
from star.models.layers.lora import merge_update
from star.utils.state_dicts import describe_misfits, find_misfits
from star.utils.tensor_files import (
    LazyTensor,
    held,
    open_folder,
    open_safetensors,
    read_state,
)

Tensors = dict[str, LazyTensor]

OUR_PREFIX = 'backbone.'
OFFICIAL_PREFIX = 'model.diffusion_model.'
# Other parts of the official model, which have files of their own, and
# tensors of its network that are neither learnt nor used.
LEFT_OUT = (
    'conditioner.',
    'first_stage_model.',
    OFFICIAL_PREFIX + 'mixins.pos_embed.freqs_',  # rotations of 5B
    OFFICIAL_PREFIX + 'transformer.position_embeddings.',
)
_SINUSOIDS = OFFICIAL_PREFIX + 'mixins.pos_embed.pos_embedding'  # of 2B


@dataclass
class Conversion:
    """The tensors that a file is converted to.

    Attributes:
        tensors: ours by name, with the prefix 'backbone.'.
        left_out: how many tensors were left out, by the start of their name.
        ranks: of the LoRA updates that are merged, by our name.
        positions: the position encoding that the file names, 'rope' or
            'sincos'; empty if it names none.
    """

    tensors: Tensors
    left_out: dict[str, int] = field(default_factory=dict)
    ranks: dict[str, int] = field(default_factory=dict)
    positions: str = ''


def open_weights(path: str | Path) -> Tensors:
    """List the tensors of a file, or of a folder in diffusers' layout.

    Args:
        path: a file of SAT, the official trainer, with its tensors under
            'module'; a safetensors file; or a folder with
            `diffusion_pytorch_model`.

    Raises:
        ValueError: it cannot be read, or holds no such tensors.
    """
    path = Path(path)
    if path.is_dir():
        return open_folder(path)
    if path.suffix == '.safetensors':
        return open_safetensors(path)
    # the trainer saves the state of numpy's random numbers beside the weights
    with torch.serialization.safe_globals(_numpy_types()):
        state = read_state(path, ('module',))
    return {name: held(tensor) for name, tensor in state.items()}


def convert(
    source: Tensors, alpha: float = 1, left_out: Sequence[str] = ()
) -> Conversion:
    """Translate official or base weights into ours; nothing is read yet.

    Args:
        source: as `open_weights` gives it: official STAR on CogVideoX, or
            diffusers' transformer of CogVideoX.
        alpha: strength of LoRA, which no file states; the official is 1.
        left_out: prefixes of further official tensors that are not needed.

    Raises:
        ValueError: names or shapes that do not fit.
    """
    if 'patch_embed.proj.weight' in source:
        return Conversion(from_base(source))
    return from_official(source, alpha, left_out)


def from_official(
    source: Tensors, alpha: float = 1, left_out: Sequence[str] = ()
) -> Conversion:
    """Translate official weights, LoRA merged; see `convert`.

    Raises:
        ValueError: names or shapes that do not fit.
    """
    sinusoids = [name for name in (_SINUSOIDS,) if name in source]
    rules = (*LEFT_OUT, *sinusoids, *left_out)
    dropped = {
        rule: sum(name.startswith(rule) for name in source) for rule in rules
    }
    kept = {
        name.removeprefix(OFFICIAL_PREFIX): tensor
        for name, tensor in source.items()
        if not name.startswith(rules)
    }
    expected = _expected(_official_sizes(kept))
    reader = _Official(kept, alpha)
    tensors = {
        OUR_PREFIX + name: reader.find(name, tuple(tensor.shape))
        for name, tensor in expected.items()
    }
    reader.refuse_others()
    return Conversion(tensors, dropped, reader.ranks, _positions(source))


def from_base(source: Tensors) -> Tensors:
    """Translate diffusers' weights; the layers that STAR adds are new.

    The patch embedding ignores the low-quality latents at first; the local
    gates are drawn.

    Raises:
        ValueError: names or shapes that do not fit.
    """
    expected = _expected(_base_sizes(source))
    names = {name.removeprefix('transformer.'): name for name in expected}
    patches = 'patch_embed.proj.weight'
    given = {**source, patches: _widened(source[patches])}
    misfits = find_misfits(
        {name: expected[ours] for name, ours in names.items()},
        given,
        {name for name in names if '.local' not in name},
    )
    if misfits:
        raise ValueError(f'checkpoint does not fit: {misfits}')
    generator = torch.Generator().manual_seed(0)
    return {
        OUR_PREFIX + ours: given[name]
        if name in given
        else held(_new_gate(tuple(expected[ours].shape), generator))
        for name, ours in names.items()
    }


class _Official:
    """Finds our tensors among official ones, and keeps a list of them."""

    def __init__(self, source: Mapping[str, LazyTensor], alpha: float) -> None:
        self.source = source
        self.alpha = alpha
        self.used: set[str] = set()
        self.missing: set[str] = set()
        self.ranks: dict[str, int] = {}

    def find(self, name: str, shape: tuple[int, ...]) -> LazyTensor:
        place = find_place(name)
        lora = lora_names(place)
        if lora is None or lora[0] not in self.source:
            return self._rows(place.name, place, shape)
        original, *names = lora
        weight = self._rows(original, place, shape)
        if not all(names):
            return weight
        a, b = (self._get(official) for official in names)
        if a.shape and b.shape:
            rank = a.shape[0]
            _check_shape(names[0], a.shape, (rank, shape[1]))
            _check_shape(names[1], b.shape, (shape[0], rank))
            self.ranks[name] = rank
        return LazyTensor(shape, partial(self._merge, weight, a, b))

    def refuse_others(self) -> None:
        """Refuse missing names, and names that no tensor of ours needs."""
        misfits = describe_misfits(
            self.missing, self.source.keys() - self.used
        )
        if misfits:
            raise ValueError(f'checkpoint does not fit: {misfits}')

    def _get(self, name: str) -> LazyTensor:
        self.used.add(name)
        if name in self.source:
            return self.source[name]
        self.missing.add(name)
        return LazyTensor((), _unread)

    def _rows(
        self, name: str, place: Place, shape: tuple[int, ...]
    ) -> LazyTensor:
        found = self._get(name)
        if found.shape:
            whole = shape[0] * place.of // len(place.rows)
            _check_shape(name, found.shape, (whole, *shape[1:]))
        return LazyTensor(shape, partial(_take_rows, found, place))

    def _merge(
        self, weight: LazyTensor, a: LazyTensor, b: LazyTensor
    ) -> Tensor:
        scale = self.alpha / a.shape[0]
        return merge_update(weight.read(), a.read(), b.read(), scale)


def _take_rows(tensor: LazyTensor, place: Place) -> Tensor:
    blocks = tensor.read().chunk(place.of)
    rows = [blocks[i] for i in place.rows]
    return rows[0] if len(rows) == 1 else torch.cat(rows)


def _positions(source: Tensors) -> str:
    start = OFFICIAL_PREFIX + 'mixins.pos_embed.'
    names = {'freqs_sin': 'rope', 'pos_embedding': 'sincos'}
    found = [names[n] for n in names if start + n in source]
    return found[0] if found else ''


def _unread() -> Tensor:
    raise AssertionError('a missing tensor was read')


def _widened(weight: LazyTensor) -> LazyTensor:
    """Double the input channels; the weights of the new ones are zero."""

    def read() -> Tensor:
        tensor = weight.read()
        return torch.cat([tensor, torch.zeros_like(tensor)], 1)

    rows, channels, *kernel = weight.shape
    return LazyTensor((rows, 2 * channels, *kernel), read)


def _new_gate(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    weight = torch.empty(shape)
    nn.init.kaiming_uniform_(weight, a=5**0.5, generator=generator)
    return weight


def _official_sizes(source: Tensors) -> dict[str, int]:
    names = (
        'mixins.patch_embed.proj_sr.weight',
        'mixins.patch_embed.text_proj.weight',
        'time_embed.0.weight',
        'mixins.adaln_layer.query_layernorm_list.0.weight',
    )
    layers = r'^transformer\.layers\.(\d+)\.'
    sizes = _sizes(source, names, layers)
    return {**sizes, 'latent_dim': sizes['latent_dim'] // 2}


def _base_sizes(source: Tensors) -> dict[str, int]:
    names = (
        'patch_embed.proj.weight',
        'patch_embed.text_proj.weight',
        'time_embedding.linear_1.weight',
        'transformer_blocks.0.attn1.norm_q.weight',
    )
    return _sizes(source, names, r'^transformer_blocks\.(\d+)\.')


def _sizes(
    source: Tensors, names: Sequence[str], layers: str
) -> dict[str, int]:
    """Derive the arguments of CogVideoXDiT from the shapes of four tensors."""
    missing = [name for name in names if name not in source]
    if missing:
        raise ValueError(
            'holds neither STAR on CogVideoX nor its base model: there is no '
            f'{missing[0]}'
        )
    ranks = zip(names, (4, 2, 2, 1), strict=True)
    for name, ndim in ranks:
        if len(source[name].shape) != ndim:
            raise ValueError(
                f'checkpoint entry {name!r} must have {ndim} dimensions, got '
                f'{source[name].shape}'
            )
    patch, text, time, head = (source[name].shape for name in names)
    numbers = [re.match(layers, name) for name in source]
    return {
        'latent_dim': patch[1],
        'num_layers': len({m[1] for m in numbers if m}),
        'num_heads': patch[0] // head[0],
        'head_dim': head[0],
        'time_dim': time[0],
        'text_dim': text[1],
    }


def _expected(sizes: dict[str, int]) -> dict[str, Tensor]:
    """Return our names and shapes, on meta."""
    with torch.device('meta'):
        return CogVideoXDiT(**sizes).state_dict()  # type: ignore[arg-type]


def _check_shape(
    name: str, found: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    if found != expected:
        raise ValueError(
            f'checkpoint entry {name!r} is {found}, expected {expected}'
        )


def _numpy_types() -> list:
    """List the classes that a pickled numpy array needs, old and new names."""
    rebuild = np.zeros(1).__reduce__()[0]
    return [
        rebuild,
        (rebuild, 'numpy.core.multiarray._reconstruct'),
        np.ndarray,
        np.dtype,
        type(np.dtype('u4')),
    ]
