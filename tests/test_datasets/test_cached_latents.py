import pickle

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from star.datasets import cached_latents
from star.datasets.cached_latents import CachedLatents
from star.datasets.fingerprints import hash_weights
from star.datasets.latent_shards import shard_path
from star.models.text_encoders.stored import (
    StoredPrompts,
    StoredTextEncoder,
    save_prompts,
)
from star.registry import DATASETS
from tests.test_datasets.latents import CONFIGS, make_sample, write_cache


def build(root, **options):
    return DATASETS.build(
        {'type': CachedLatents, 'cache_root': str(root), **options}
    )


def names(dataset, numbers):
    return [dataset[number]['data_samples'].name for number in numbers]


def test_first_pass_repeats_the_items(tmp_path):
    write_cache(tmp_path)
    dataset = build(tmp_path)
    assert len(dataset) == 7
    for number in range(7):
        item = dataset[number]
        sample, wanted = item['data_samples'], make_sample(number)
        assert item['inputs'] is None and sample.gt is None
        assert sample.seed == wanted.seed
        assert sample.name == wanted.name
        assert torch.equal(sample.z0, wanted.z0)
        assert torch.equal(sample.z_lq, wanted.z_lq)


def test_later_passes_have_another_order_and_other_seeds(tmp_path):
    write_cache(tmp_path)
    dataset = build(tmp_path)
    passes = [names(dataset, range(7 * i, 7 * i + 7)) for i in range(4)]
    assert all(sorted(p) == passes[0] for p in passes)
    assert len({tuple(p) for p in passes}) == 4
    seeds = {dataset[number]['data_samples'].seed for number in range(70)}
    assert len(seeds) == 70
    # by the number alone
    again = build(tmp_path)
    for number in (50, 3, 20):
        old, new = (d[number]['data_samples'] for d in (dataset, again))
        assert (old.name, old.seed) == (new.name, new.seed)
    other = build(tmp_path, seed=1)
    assert names(other, range(7)) == passes[0]
    assert names(other, range(7, 14)) != passes[1]


def test_ground_truth_where_it_was_kept(tmp_path):
    write_cache(tmp_path, keep_gt=True)
    gt = build(tmp_path)[5]['data_samples'].gt
    assert torch.equal(gt, make_sample(5).gt)


@pytest.mark.parametrize('start', ['fork', 'spawn'])
def test_through_workers(tmp_path, start):
    write_cache(tmp_path)
    dataset = build(tmp_path)
    dataset[0]  # opens a file
    loader = DataLoader(
        dataset,
        batch_size=None,
        num_workers=1,
        multiprocessing_context=start,
        collate_fn=pass_on,
    )
    found = [item['data_samples'].name for item in loader]
    assert found == [f'clip{number}' for number in range(7)]


def pass_on(item):
    return item


def test_few_files_stay_open(tmp_path, monkeypatch):
    monkeypatch.setattr(cached_latents, '_MOST_OPEN', 2)
    write_cache(tmp_path)
    dataset = build(tmp_path)
    assert names(dataset, (0, 3, 6, 0)) == ['clip0', 'clip3', 'clip6', 'clip0']
    assert list(dataset._shards) == [2, 0]
    assert pickle.loads(pickle.dumps(dataset))._shards == {}


def test_expected_configs(tmp_path):
    write_cache(tmp_path)
    build(tmp_path, expect=CONFIGS)
    vae = {**CONFIGS['autoencoder'], 'pretrained': 'x', 'decode_window': 9}
    build(tmp_path, expect={'autoencoder': vae})
    other = {'type': 'CaptionedFolder', 'pipeline': [{'scale': 2}]}
    text = (
        r'was made by another config: dataset.pipeline.0.scale is 4 '
        'there and 2 here; make the cache anew with star '
    )
    with pytest.raises(ValueError, match=text):
        build(tmp_path, expect={'dataset': other})
    with pytest.raises(ValueError, match=r'autoencoder.latent_chan.* is 2'):
        build(tmp_path, expect={'autoencoder': {**vae, 'latent_channels': 4}})
    with pytest.raises(ValueError, match=r'`expect` may have .*, got vae$'):
        build(tmp_path, expect={'vae': {}})


def test_other_weights_are_refused(tmp_path):
    model = nn.Module()
    model.autoencoder, model.text_encoder = nn.Linear(2, 2), nn.Linear(3, 1)
    weights = {
        name: hash_weights(getattr(model, name))
        for name in ('autoencoder', 'text_encoder')
    }
    write_cache(tmp_path, weights=weights)
    dataset = build(tmp_path)
    dataset.check_model(model)
    nn.init.zeros_(model.text_encoder.weight)
    with pytest.raises(ValueError, match=r'other weights of the text_encoder'):
        dataset.check_model(model)
    del model.text_encoder  # of a model that sees no text
    dataset.check_model(model)


def test_stored_prompts_stand_for_their_encoder(tmp_path):
    encoder = nn.Linear(3, 1)
    weights = {'text_encoder': hash_weights(encoder)}
    write_cache(tmp_path, weights=weights)
    model, path = nn.Module(), tmp_path / 'prompts.safetensors'
    for stored, fits in (
        (StoredPrompts([''], weights['text_encoder']), True),
        (StoredPrompts([''], any_weights=True), True),
        (StoredPrompts([''], 'another'), False),
    ):
        save_prompts(path, stored, torch.zeros(1, 2, 3))
        model.text_encoder = StoredTextEncoder(str(path))
        if fits:
            build(tmp_path).check_model(model)
    with pytest.raises(ValueError, match=r'other weights of the text_encoder'):
        build(tmp_path).check_model(model)


def test_incomplete_cache(tmp_path):
    write_cache(tmp_path)
    shard_path(tmp_path, 1).unlink()
    text = 'is incomplete, it has 2 of 3 shards: run .* again'
    with pytest.raises(ValueError, match=text):
        build(tmp_path)
    with pytest.raises(ValueError, match=r'`cache_root` holds no cache'):
        build(tmp_path / 'none')


def test_shard_of_another_cache(tmp_path):
    write_cache(tmp_path / 'a')
    write_cache(tmp_path / 'b', num_clips=5)
    shard_path(tmp_path / 'b', 1).replace(shard_path(tmp_path / 'a', 1))
    dataset = build(tmp_path / 'a')
    dataset[0]
    with pytest.raises(ValueError, match=r'00001.* belongs to another cache'):
        dataset[3]
    with pytest.raises(ValueError, match=r'must be >= 0, got -1'):
        dataset[-1]
