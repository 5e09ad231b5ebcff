"""Training items whose latents and text embeddings are read from a cache."""

from pathlib import Path
from typing import Any

from torch import nn
from torch.utils.data import Dataset

from star.datasets.fingerprints import difference, hash_weights, plain
from star.datasets.latent_shards import Shard, read_index, shard_path
from star.datasets.sampling import RandomItems
from star.registry import DATASETS

_MOST_OPEN = 64  # shards; each keeps a file open


@DATASETS.register_module()
class CachedLatents(Dataset):
    """Reads items of `star prepare cache-latents` and `star prepare teacher`.

    The first pass gives the items of the cached data set in their order and
    with their seeds, so training sees what it would see without the cache.
    Every further pass has its own order and seeds; crops and degradations
    stay the same.

    Args:
        cache_root: folder of the cache.
        expect: configs that must have made the cache, by the names
            'dataset', 'data_preprocessor', 'autoencoder', 'text_encoder' and
            'teacher'; a missing one is not compared. `check_model` compares
            the weights.
        seed: of the order and the seeds after the first pass, >= 0.

    Raises:
        ValueError: there is no cache, it is incomplete or broken, or other
            configs made it.
    """

    metainfo = None

    def __init__(
        self, cache_root: str, expect: dict | None = None, seed: int = 0
    ) -> None:
        self.root = Path(cache_root)
        self.index = read_index(self.root)
        self._compare_configs(expect or {})
        self._check_files()
        self.items = RandomItems(self.index.num_items, seed)
        self._shards: dict[int, Shard] = {}

    def __len__(self) -> int:
        return self.index.num_items

    def __getitem__(self, number: int) -> dict:
        first_pass = 0 <= number < len(self)
        item = number if first_pass else self.items.clip(number)
        which, position = divmod(item, self.index.shard_size)
        sample = self._open(which).sample(position, self.index.keep_gt)
        if not first_pass:
            sample.seed = int(self.items.rng(number).integers(2**31))
        return {'inputs': None, 'data_samples': sample}

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without open files: each worker opens its own."""
        return {**self.__dict__, '_shards': {}}

    def check_model(self, model: nn.Module) -> None:
        """Compare the weights of a model with those that made the cache.

        Args:
            model: of its modules `autoencoder` and `text_encoder` those are
                compared that it has.

        Raises:
            ValueError: a module has other weights.
        """
        for name, wanted in self.index.weights.items():
            if not hasattr(model, name):
                continue  # what learns from latents alone sees no text
            part = model.get_submodule(name)
            if getattr(part, 'any_weights', False):
                continue  # stored prompts that come from no weights
            if hash_weights(part) != wanted:
                raise ValueError(
                    f'{self.root} was made with other weights of the '
                    f'{name}: train with those, or make the cache anew with '
                    f'{self.index.tool}'
                )

    def _open(self, number: int) -> Shard:
        if number not in self._shards:
            if len(self._shards) >= _MOST_OPEN:
                del self._shards[next(iter(self._shards))]
            path = shard_path(self.root, number)
            self._shards[number] = Shard(path, self.index.key())
        return self._shards[number]

    def _compare_configs(self, expect: dict) -> None:
        unknown = expect.keys() - self.index.configs.keys()
        if unknown:
            raise ValueError(
                f'`expect` may have {", ".join(self.index.configs)}, got '
                f'{", ".join(sorted(unknown))}'
            )
        for name, config in expect.items():
            made_by = self.index.configs[name]
            found = difference(made_by, plain(config), name)
            if found:
                raise ValueError(
                    f'{self.root} was made by another config: {found}; make '
                    f'the cache anew with {self.index.tool}'
                )

    def _check_files(self) -> None:
        total = self.index.num_shards
        paths = [shard_path(self.root, i) for i in range(total)]
        there = sum(path.is_file() for path in paths)
        if there < total:
            raise ValueError(
                f'{self.root} is incomplete, it has {there} of {total} '
                f'shards: run {self.index.tool} again with the same options '
                'to finish it'
            )
