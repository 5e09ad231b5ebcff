"""Small caches of invented latents."""

from dataclasses import replace

import torch

from star.datasets.latent_shards import (
    CacheIndex,
    shard_path,
    start_cache,
    write_shard,
)
from star.structures import VideoSample

CONFIGS = {
    'dataset': {'type': 'CaptionedFolder', 'pipeline': [{'scale': 4}]},
    'data_preprocessor': {'scale': 4},
    'autoencoder': {'type': 'TemporalVAE', 'latent_channels': 2},
    'text_encoder': {'type': 'ConstantTextEncoder', 'dim': 3},
}
INDEX = CacheIndex(
    num_items=7,
    shard_size=3,
    dtype='float32',
    keep_gt=False,
    num_clips=4,
    configs=CONFIGS,
    weights={'autoencoder': 'a', 'text_encoder': 'b'},
)


def make_sample(number, value=None):
    """Latents of 2 x 2 x 1 x 1 that hold the number; two prompts in all."""
    z = torch.arange(4.0).view(2, 2, 1, 1) / 8
    return VideoSample(
        gt=torch.full((2, 3, 4, 4), number, dtype=torch.uint8),
        prompt='even' if number % 2 == 0 else 'odd',
        name=f'clip{number}',
        dataset='made up',
        fps=25.0,
        record={'blur': [number, 0.5]},
        seed=1000 + number,
        z0=z + number if value is None else torch.full_like(z, value),
        z_lq=-z - number,
    )


def embed(prompt):
    return torch.full((2, 3), float(len(prompt)))


def write_shards(root, index, shards):
    for number in shards:
        samples = [make_sample(item) for item in index.items(number)]
        write_shard(shard_path(root, number), index, samples, embed)


def write_cache(root, **changes):
    index = replace(INDEX, **changes)
    start_cache(root, index)
    write_shards(root, index, range(index.num_shards))
    return index
