"""Files of a latent cache: `index.json`, shards `latents-00000.safetensors`.

A shard is written in one piece, names the index that it belongs to, and can
be read without the others.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from star.datasets.fingerprints import difference, plain
from star.datasets.teacher_tensors import pack_path, path_facts, unpack_path
from star.structures import VideoSample
from star.utils.checks import check_choice, check_least
from star.utils.files import remove_temporary, write_bytes, write_text

FORMAT = 1
DTYPES = {
    'float16': torch.float16,
    'bfloat16': torch.bfloat16,
    'float32': torch.float32,
}
TOOL = 'star prepare cache-latents'
TEACHER_TOOL = 'star prepare teacher'


@dataclass(frozen=True)
class CacheIndex:
    """The contents of a cache, and what made it.

    Args:
        num_items: items 0 to `num_items` - 1 of the data set are cached.
        shard_size: items of a shard; the last one may have fewer.
        dtype: of latents and embeddings in the files, a key of `DTYPES`.
        keep_gt: whether the files hold the pixels of the ground truth too.
        num_clips: length of the data set.
        configs: results of `plain` for the data set, the data preprocessor,
            the autoencoder and the text encoder; with `teacher`, a teacher
            restored the clips.
        weights: results of `hash_weights` for the autoencoder and the text
            encoder.
        format: version of the files.

    Raises:
        ValueError: a value is out of range.
    """

    num_items: int
    shard_size: int
    dtype: str
    keep_gt: bool
    num_clips: int
    configs: dict[str, Any]
    weights: dict[str, str]
    format: int = FORMAT

    def __post_init__(self) -> None:
        for name in ('num_items', 'shard_size'):
            value = getattr(self, name)
            check_least(name, value, 1)
        check_choice('dtype', self.dtype, DTYPES)

    @property
    def num_shards(self) -> int:
        """Return the number of shards of the complete cache."""
        return -(-self.num_items // self.shard_size)

    @property
    def tool(self) -> str:
        """Return the command that makes such a cache."""
        return TEACHER_TOOL if 'teacher' in self.configs else TOOL

    def items(self, shard: int) -> range:
        """Return the item numbers of a shard."""
        start = shard * self.shard_size
        return range(start, min(start + self.shard_size, self.num_items))

    def key(self) -> str:
        """Hash everything but the number of items, which may grow."""
        content = asdict(self)
        del content['num_items']
        text = json.dumps(content, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def read_index(root: str | Path) -> CacheIndex:
    """Read the index of a cache.

    Raises:
        ValueError: it is missing, broken or of another format.
    """
    path = Path(root) / 'index.json'
    if not path.is_file():
        raise ValueError(
            f'`cache_root` holds no cache: {root} (see {TOOL} and '
            f'{TEACHER_TOOL})'
        )
    try:
        content = json.loads(path.read_text('utf-8'))
        key = content.pop('key')
        index = CacheIndex(**content)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f'{path} is no index of a cache: {error}') from error
    if index.format != FORMAT:
        raise ValueError(
            f'{path} has format {index.format}, this version reads {FORMAT}: '
            f'make the cache anew with {index.tool}'
        )
    if key != index.key():
        raise ValueError(f'{path} was changed after it was written')
    return index


def start_cache(root: str | Path, index: CacheIndex) -> None:
    """Write the index of a new cache, or check the existing one.

    Args:
        root: folder of the cache; created if missing.
        index: of the wanted cache; it may have more items than the existing
            one.

    Raises:
        ValueError: the folder holds another cache, or more items.
    """
    root = Path(root)
    if (root / 'index.json').is_file():
        old = read_index(root)
        found = difference(_settings(old), _settings(index))
        if found:
            raise ValueError(
                f'{root} holds another cache: {found}; remove it, or choose '
                'another folder'
            )
        if old.num_items > index.num_items:
            raise ValueError(
                f'{root} holds {old.num_items} items; `num_items` must not '
                f'be less, got {index.num_items}'
            )
    root.mkdir(parents=True, exist_ok=True)
    remove_temporary(root)  # only one process may write a cache
    content = {**asdict(index), 'key': index.key()}
    text = json.dumps(content, indent=1, sort_keys=True)
    write_text(root / 'index.json', text)


def missing_shards(root: str | Path, index: CacheIndex) -> list[int]:
    """List the shards that have to be written.

    In a growing cache this includes the last one, if it has too few items.

    Raises:
        ValueError: a shard is broken or belongs to another cache.
    """
    missing = []
    for number in range(index.num_shards):
        path = shard_path(root, number)
        wanted = len(index.items(number))
        if not path.is_file() or len(Shard(path, index.key())) < wanted:
            missing.append(number)
    return missing


def shard_path(root: str | Path, number: int) -> Path:
    """Return the path of a shard."""
    return Path(root) / f'latents-{number:05d}.safetensors'


def write_shard(
    path: Path,
    index: CacheIndex,
    samples: list[VideoSample],
    encode_text: Callable[[str], Tensor],
) -> None:
    """Write the items of one shard, and the embedding of each prompt once.

    Args:
        path: of the shard.
        index: of the cache.
        samples: with `z0` and `z_lq`, and with `gt` if it is kept.
        encode_text: maps a prompt to its embedding, (L, D).

    Raises:
        ValueError: a latent is not finite, or too large for the dtype of the
            index.
    """
    prompts = sorted({sample.prompt for sample in samples})
    dtype = DTYPES[index.dtype]
    tensors, items = {}, []
    for i, prompt in enumerate(prompts):
        tensors[f'text.{i}'] = _cast(encode_text(prompt), dtype, prompt)
    if 'teacher' in index.configs:
        tensors['no_text'] = _cast(encode_text(''), dtype, 'no text')
    for i, sample in enumerate(samples):
        assert sample.z0 is not None and sample.z_lq is not None
        tensors[f'z0.{i}'] = _cast(sample.z0, dtype, sample.name)
        tensors[f'z_lq.{i}'] = _cast(sample.z_lq, dtype, sample.name)
        if sample.teacher is not None:
            cast = partial(_cast, dtype=dtype, name=sample.name)
            tensors |= pack_path(sample.teacher, i, cast)
        if index.keep_gt:
            assert sample.gt is not None
            tensors[f'gt.{i}'] = sample.gt.cpu().contiguous()
        items.append(_facts(sample, prompts.index(sample.prompt)))
    # one entry, because the order of several entries would be random
    cache = json.dumps({'key': index.key(), 'items': items})
    write_bytes(path, save(tensors, {'cache': cache}))


class Shard:
    """Reads the items of one shard; `sample` reads only their tensors.

    Args:
        path: of the file.
        key: of the index that the shard must belong to.

    Raises:
        ValueError: the file is broken or belongs to another cache.
    """

    def __init__(self, path: Path, key: str) -> None:
        try:
            self._file = safe_open(path, framework='pt')
        except (OSError, SafetensorError) as error:
            raise ValueError(
                f'{path} cannot be read ({error}): remove it, and make the '
                'cache again'
            ) from error
        metadata = self._file.metadata() or {}
        content = json.loads(metadata.get('cache', '{}'))
        if content.get('key') != key:
            raise ValueError(
                f'{path} belongs to another cache: remove it, and make the '
                'cache again'
            )
        self._items = content['items']

    def __len__(self) -> int:
        return len(self._items)

    def sample(self, position: int, keep_gt: bool) -> VideoSample:
        """Read an item: latents and embedding in float32, `gt` in uint8.

        Args:
            position: within the shard.
            keep_gt: read the ground truth, which must be there.
        """
        facts = dict(self._items[position])
        text, path = facts.pop('text'), facts.pop('teacher', None)
        read = self._file.get_tensor
        if path is not None:
            facts['teacher'] = unpack_path(path, position, read)
        return VideoSample(
            gt=read(f'gt.{position}') if keep_gt else None,
            z0=read(f'z0.{position}').float(),
            z_lq=read(f'z_lq.{position}').float(),
            text=read(f'text.{text}').float(),
            **facts,
        )


_FACTS = ('prompt', 'name', 'dataset', 'fps', 'record', 'seed')


def _facts(sample: VideoSample, text: int) -> dict[str, Any]:
    facts = {name: getattr(sample, name) for name in _FACTS} | {'text': text}
    if sample.teacher is not None:
        facts['teacher'] = path_facts(sample.teacher)
    return facts


def _settings(index: CacheIndex) -> dict[str, Any]:
    names = [field.name for field in fields(index)]
    names.remove('num_items')
    return {name: plain(getattr(index, name), False) for name in names}


def _cast(tensor: Tensor, dtype: torch.dtype, name: str) -> Tensor:
    """Round a tensor to the dtype of the cache, on the CPU."""
    rounded = tensor.detach().to('cpu', dtype).contiguous()
    if not rounded.isfinite().all():
        raise ValueError(
            f'{name!r} gives values that are not finite in {dtype}: choose '
            'bfloat16 or float32, or check the clip'
        )
    return rounded.clone()  # safetensors refuses shared memory
