"""Training items whose latents and text embeddings were computed before."""

from pathlib import Path
from typing import Any

from torch import nn
from torch.utils.data import Dataset

from star.datasets.draws import Draws
from star.datasets.fingerprints import difference, hash_weights, plain
from star.datasets.latent_shards import TOOL, Shard, read_index, shard_path
from star.registry import DATASETS

_MOST_OPEN = 64  # shards; each keeps a file open


@DATASETS.register_module()
class CachedLatents(Dataset):
    """Reads items that `tools/dataset_converters/cache_latents.py` wrote.

    Items are addressed by draw numbers. The first pass gives the draws of
    the data set that was cached, in their order and with their seeds, so
    that training sees what it would have seen without the cache. Every
    further pass has an order and seeds of its own; crops and degradations
    stay as they are.

    Args:
        cache_root: folder of the cache.
        expect: configs that must have made the cache, by the names
            'dataset', 'data_preprocessor', 'autoencoder' and
            'text_encoder'; those left out are not compared. Weights are
            compared by `check_model`.
        seed: of the order and the seeds after the first pass, >= 0.

    Raises:
        ValueError: there is no cache, it is incomplete or broken, or
            something else made it.
    """

    metainfo = None

    def __init__(
        self, cache_root: str, expect: dict | None = None, seed: int = 0
    ) -> None:
        self.root = Path(cache_root)
        self.index = read_index(self.root)
        self._compare_configs(expect or {})
        self._check_files()
        self.draws = Draws(self.index.num_items, seed)
        self._shards: dict[int, Shard] = {}

    def __len__(self) -> int:
        return self.index.num_items

    def __getitem__(self, draw: int) -> dict:
        first_pass = 0 <= draw < len(self)
        item = draw if first_pass else self.draws.clip(draw)
        number, position = divmod(item, self.index.shard_size)
        shard = self._open(number)
        sample = shard.sample(position, self.index.keep_gt)
        if not first_pass:
            sample.seed = int(self.draws.rng(draw).integers(2**31))
        return {'inputs': None, 'data_samples': sample}

    def __getstate__(self) -> dict[str, Any]:
        """Leave open files behind: a worker opens its own."""
        return {**self.__dict__, '_shards': {}}

    def check_model(self, model: nn.Module) -> None:
        """Compare the weights of a model with those that made the cache.

        Args:
            model: has the parts `autoencoder` and `text_encoder`.

        Raises:
            ValueError: a part has other weights.
        """
        for part, wanted in self.index.weights.items():
            if hash_weights(model.get_submodule(part)) != wanted:
                raise ValueError(
                    f'{self.root} was made with other weights of the '
                    f'{part}: train with those, or make the cache anew with '
                    f'{TOOL}'
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
        for part, config in expect.items():
            made_by = self.index.configs[part]
            found = difference(made_by, plain(config), part)
            if found:
                raise ValueError(
                    f'{self.root} was made by another config: {found}; make '
                    f'the cache anew with {TOOL}'
                )

    def _check_files(self) -> None:
        total = self.index.num_shards
        paths = [shard_path(self.root, i) for i in range(total)]
        there = sum(path.is_file() for path in paths)
        if there < total:
            raise ValueError(
                f'{self.root} is incomplete, it has {there} of {total} '
                f'shards: run {TOOL} again with the same options to finish it'
            )
