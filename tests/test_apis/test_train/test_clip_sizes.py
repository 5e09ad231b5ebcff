"""Sizes of clips that a config states, and their refusal."""

import json

import pytest

from star.apis.inference.build import load_config
from star.apis.train.clip_sizes import check_clips, find_sources

PLACE = 'train_dataloader.dataset'


@pytest.fixture
def config():
    return load_config('tiny')


def change(config, **changes):
    """Set values of the training data set by dotted key, `__` for a dot."""
    config.merge_from_dict(
        {f'{PLACE}.{k.replace("__", ".")}': v for k, v in changes.items()}
    )
    return config


def refusal(config):
    with pytest.raises(ValueError) as caught:
        check_clips(config)
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    return line


@pytest.mark.parametrize(
    'name', ['tiny', 'i2vgen', 'i2vgen_fsdp', 'cogvideox_2b', 'tiny_cogvideox']
)
def test_shipped_configs_fit(name):
    check_clips(load_config(name))


def test_sides_that_do_not_fit(config):
    change(config, pipeline__1__height=96)
    assert refusal(config) == (
        f'{PLACE}.pipeline.1: height must be 8 more than a multiple of 16, '
        'e.g. 88, 104 or 120, got 96 (for PatchDCT and I2VGenUNet)'
    )
    change(config, pipeline__1__height=104, pipeline__1__width=100)
    assert 'width must be a multiple of 16, e.g. 96, 112 or 128, got 100' in (
        refusal(config)
    )
    change(config, pipeline__1__width=96)
    check_clips(config)


def test_both_sides_and_the_frames_at_once():
    config = load_config('tiny_cogvideox')
    change(config, pipeline__1__height=40, pipeline__1__width=8, num_frames=8)
    line = refusal(config)
    assert 'height must be a multiple of 16, e.g. 32, 48 or 64, got 40' in line
    assert 'width must be a multiple of 16, e.g. 16 or 32, got 8' in line
    assert 'num_frames must be 1 more than a multiple of 4, e.g. 5, 9' in line


def test_the_degradation_has_a_rule_too(config):
    model = config.model.data_preprocessor
    change(config, pipeline__2__scale=3)
    assert 'scale must be 4, by which the low-quality clips' in refusal(config)
    model.scale = 3
    line = refusal(config)  # 88 is no multiple of 3
    assert 'height must be 24 more than a multiple of 48' in line
    assert 'with a scale of 3' in line
    change(config, pipeline__1__height=72)
    check_clips(config)
    del config.train_dataloader.dataset.pipeline[2]['scale']  # 4 by default
    assert 'got 4' in refusal(config)


def test_a_flip_after_the_crop_exchanges_its_sides(config):
    pipeline = config.train_dataloader.dataset.pipeline
    pipeline[0], pipeline[1] = pipeline[1], pipeline[0]
    assert 'height must be' in refusal(config)  # 96
    pipeline[1].transpose = False
    check_clips(config)


def test_data_sets_around_others(config):
    inner = config.train_dataloader.dataset
    other = {**inner, 'num_frames': 5}
    config.train_dataloader.dataset = {
        'type': 'Alternating',
        'datasets': [inner, {'type': 'RepeatDataset', 'dataset': other}],
    }
    sources = list(find_sources(config.train_dataloader.dataset, 'd'))
    assert [s.path for s in sources] == [
        'd.datasets.0',
        'd.datasets.1.dataset',
    ]
    assert [s.num_frames for s in sources] == [3, 5]
    line = refusal(config)
    assert '3 x 88 x 96' in line and '5 x 88 x 96' in line
    assert 'train_dataloader.batch_size=1' in line
    config.train_dataloader.batch_size = 1
    check_clips(config)
    other['pipeline'] = [{'type': 'RandomCropClip', 'height': 96, 'width': 96}]
    config.train_dataloader.dataset.datasets[1].dataset = other
    assert 'datasets.1.dataset.pipeline.0: height' in refusal(config)


def test_transforms_that_choose_others(config):
    pipeline = config.train_dataloader.dataset.pipeline
    pipeline[2] = {
        'type': 'ChooseTransform',
        'transforms': [pipeline[2], {**pipeline[2], 'scale': 2}],
    }
    assert 'pipeline.2.transforms.1: scale must be 4' in refusal(config)


def test_sizes_that_the_data_set_itself_states(config):
    config.train_dataloader.dataset = {
        'type': 'Clips',
        'height': 96,
        'width': 96,
        'pipeline': [],
    }
    assert f'{PLACE}: height must be 8 more' in refusal(config)
    config.train_dataloader.dataset.pop('height')  # the files decide
    check_clips(config)


def test_the_data_set_of_a_cache(config, tmp_path):
    made_of = config.train_dataloader.dataset.to_dict()
    config.train_dataloader.dataset = {
        'type': 'CachedLatents',
        'cache_root': str(tmp_path),
    }
    check_clips(config)  # the data set says itself that there is none
    made_of['pipeline'][1]['height'] = 96
    index = {'configs': {'dataset': made_of}}
    (tmp_path / 'index.json').write_text(json.dumps(index))
    line = refusal(config)
    assert line.startswith(f'{tmp_path}: dataset.pipeline.1: height must be 8')


def test_validation_restores_any_size_that_can_be_degraded():
    config = load_config('i2vgen')
    crop = config.default_hooks.validation.dataset.pipeline[0]
    crop.height = 516  # no size for training
    check_clips(config)
    crop.height = 514
    place = 'default_hooks.validation.dataset.pipeline.0'
    assert refusal(config).startswith(
        f'{place}: height must be a multiple of 4, e.g. 512, 516 or 520'
    )


def test_the_window_of_the_losses(config):
    config.model.losses.window = {'crop_size': (16, 18)}
    assert 'crop_size must have sides that are a multiple of 4' in (
        refusal(config)
    )
    config.model.losses.window.crop_size = (16, 20)
    check_clips(config)
    config = load_config('tiny_cogvideox')
    config.model.losses.window.num_frames = 6
    assert 'num_frames must be a multiple of 4, e.g. 4, 8' in refusal(config)
    config.model.losses.window.num_frames = 10  # the whole clip
    check_clips(config)
    config.model.losses.window.num_frames = 6
    config.model.losses.frequency = None  # nothing is decoded
    check_clips(config)


def test_a_model_without_these_parts(config):
    config.model = {'type': 'BicubicEnlargement'}
    with pytest.raises(ValueError, match='cannot be built'):
        check_clips(config)
    config.model = load_config('bicubic').model
    check_clips(change(config, pipeline__1__height=90 + 6))
