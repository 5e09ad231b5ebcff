"""Every experiment's config builds, and fits what it names."""

import copy
import inspect
import json
import pickle
import re
import shutil
from dataclasses import replace
from functools import lru_cache

import pytest
import torch
from mmengine.runner import Runner
from safetensors import safe_open

from star.apis.inference.build import build_model, build_part, load_config
from star.apis.inference.weights import find_weights, start_files
from star.apis.test.testing import check_testing
from star.apis.train import clip_sizes
from star.apis.train.training import check_training
from star.datasets.transforms import compose
from star.models.editors import NetworkBaseline, STARModel
from star.models.editors.weight_files import FILES
from star.models.restoration.options import RestoreOptions
from star.registry import DATASETS, HOOKS, TRANSFORMS
from star.utils.paths import asset_path, config_root
from tests.config_rows import slow_again, slow_row
from tests.paths import ROOT

CONFIGS = sorted(
    path.relative_to(config_root()).as_posix()
    for path in config_root().rglob('*.py')
    if '_base_' not in path.parts
)
every_config = pytest.mark.parametrize(
    'name', [slow_again(n) for n in CONFIGS]
)
PARTS = ('autoencoder', 'text_encoder', 'backbone', 'controlnet')
FITTING: set[str] = set()  # parts that were tried: ablations share them
# these need their tokenizer's files to be called; size of their embeddings
TOKENIZED = {'OpenCLIPTextEncoder': 1024, 'T5TextEncoder': 4096}


@lru_cache
def load(name):
    return load_config(config_root() / name)


@lru_cache
def build(name):
    try:
        with torch.device('meta'):
            return build_model(copy.deepcopy(load(name)))
    except ImportError as error:
        pytest.skip(str(error))


def test_there_are_configs():
    expected = {'star/tiny.py', 'star/i2vgen.py', 'interpolation/bicubic.py'}
    assert expected <= set(CONFIGS)


@every_config
def test_model_builds(name):
    settings, model = load(name), build(name)
    assert type(model).__name__ == settings.model.type
    if isinstance(model, (STARModel, NetworkBaseline)):
        assert sum(p.numel() for p in model.parameters()) > 100_000
    if hasattr(model, 'restore_options'):
        check_testing(settings)  # it names test sets and metrics
    given = settings.model.get('restore_options', {})
    for key, value in given.items():
        assert getattr(model.restore_options, key) == value


@pytest.mark.parametrize(
    'name',
    [
        'dbvsr/dbvsr.py',
        'real_esrgan/realesr_animevideov3.py',
        'real_viformer/realviformer.py',
        'star/tiny.py',
        'star/tiny_cogvideox.py',
        'star/tiny_compact.py',
    ],
)
def test_model_can_be_copied_and_sent(name):
    """mmengine's EMAHook copies it; processes send it."""
    model = build(name)
    copied = copy.deepcopy(model)
    assert copied.state_dict().keys() == model.state_dict().keys()
    pickle.dumps(model.requires_grad_(False))


@every_config
def test_baselines_name_published_files(name):
    model = build(name)
    if not isinstance(model, NetworkBaseline):
        pytest.skip('no network of somebody else')
    assert all(file in FILES for file in model.weight_files)
    assert not model.loaded
    assert model.recipe.licence and model.recipe.source


@pytest.mark.parametrize('name', [slow_row(name) for name in CONFIGS])
def test_parts_fit_together(name):
    settings = load(name)
    if settings.model.type != 'STARModel':
        pytest.skip('one part only')
    parts = json.dumps([settings.model.get(part) for part in PARTS])
    if parts in FITTING:
        return
    FITTING.add(parts)
    model = build(name)
    latents = model.autoencoder.latent_channels
    if model.residual_std is not None:
        assert len(model.residual_std) == latents
    height, width = (
        m + r
        for m, r in zip(
            model.backbone.size_multiple,
            model.backbone.size_remainder,
            strict=True,
        )
    )
    z = torch.zeros(1, latents, 2, height, width, device='meta')
    t = torch.zeros(1, dtype=torch.int64, device='meta')
    text = embed_text(settings.model.text_encoder, model)
    control = model.controlnet(z, t, text, z)
    assert model.backbone(z, t, text, control).shape == z.shape


def embed_text(encoder, model):
    """Make embeddings (1, L, D) of the size that the encoder gives."""
    if encoder.type not in TOKENIZED:
        return model.text_encoder(['a']).to('meta')
    width = encoder.get('width', TOKENIZED[encoder.type])
    return torch.zeros(1, 3, width, device='meta')


@every_config
def test_training_clips_fit_the_autoencoder(name):
    settings = load(name)
    if (
        settings.model.type != 'STARModel'
        or 'train_dataloader' not in settings
    ):
        pytest.skip('no clips of a STARModel')
    autoencoder, dataset = (
        build(name).autoencoder,
        settings.train_dataloader.dataset,
    )
    ratio = autoencoder.temporal_downsample
    if 'num_frames' in dataset:
        assert (dataset.num_frames - 1) % ratio == 0
    window = settings.model.get('losses', {}).get('window', {})
    assert window.get('num_frames', 0) % ratio == 0
    sides = window.get('crop_size', ())
    assert not any(side % autoencoder.downsample for side in sides)


@every_config
def test_training_data_builds(name):
    settings = load(name)
    if 'train_dataloader' not in settings:
        pytest.skip('nothing to train')
    loader = settings.train_dataloader
    assert loader.sampler.type == 'DrawSampler'
    kind = DATASETS.get(loader.dataset.type)
    inspect.signature(kind).bind(**without(loader.dataset, 'type'))
    pipeline = loader.dataset.get('pipeline')
    if pipeline is None:
        return
    compose(pipeline)
    assert pipeline[-1].type == 'PackVideoInputs'
    scale = settings.model.data_preprocessor.get('scale', 1)
    crop = next(p for p in pipeline if p.type == 'RandomCropClip')
    assert crop.height % scale == crop.width % scale == 0
    for transform in degradations(pipeline):
        assert TRANSFORMS.build(transform).scale == scale


def without(config, *names):
    return {k: v for k, v in config.items() if k not in names}


def degradations(pipeline):
    """The transforms that make `lq`, also those chosen among others."""
    for transform in pipeline:
        if 'Degradation' in transform.type:
            yield transform
        yield from degradations(transform.get('transforms', []))


def test_config_of_somebody_else_loads_clips(tmp_path):
    """mmengine marks what `star::` names with `_scope_`; nothing minds."""
    for folder in ('gt', 'text'):
        (tmp_path / folder).mkdir()
    sample = ROOT / 'data' / 'samples' / 'cat.mp4'
    shutil.copy(sample, tmp_path / 'gt')
    (tmp_path / 'text' / 'cat.txt').write_text('a cat')
    path = tmp_path / 'mine.py'
    path.write_text(
        "_base_ = 'star::star/tiny.py'\n"
        'train_dataloader = dict(\n'
        '    num_workers=0, persistent_workers=False, batch_size=2,\n'
        f'    dataset=dict(data_root={str(tmp_path)!r}))\n'
    )
    settings = load(path)
    loader = Runner.build_dataloader(settings.train_dataloader, seed=0)
    batch = next(iter(loader))
    assert [sample.prompt for sample in batch['data_samples']] == ['a cat'] * 2
    num_frames = settings.train_dataloader.dataset.num_frames
    assert [len(x) for x in batch['inputs']] == [num_frames] * 2


@every_config
def test_training_schedule_ends_with_training(name):
    settings = load(name)
    if 'train_cfg' not in settings:
        pytest.skip('nothing to train')
    for last in settings.get('param_scheduler', [])[-1:]:
        end = last.get('end', last.get('begin', 0) + last.get('T_max', 0))
        assert end == settings.train_cfg.max_iters


@every_config
def test_hooks_build(name):
    settings = load(name)
    hooks = [*settings.default_hooks.values()]
    hooks += settings.get('custom_hooks', [])
    for config in hooks:
        if 'dataset' in config:  # it is missing here
            inspect.signature(HOOKS.get(config.type)).bind(
                **without(config, 'type')
            )
        else:
            HOOKS.build(config)


@every_config
def test_what_trains_together_is_there_together(name, monkeypatch):
    monkeypatch.setattr(clip_sizes, 'build_model', lambda _: build(name))
    check_training(load(name))
    start_files(load(name))


@every_config
def test_config_states_no_place(name):
    settings = load(name)
    assert 'work_dir' not in settings
    assert settings.default_scope == 'star'


def test_official_sizes():
    settings = load('star/i2vgen.py')
    counts = [
        sum(p.numel() for p in build_part(settings, part, 'meta').parameters())
        for part in ('backbone', 'controlnet')
    ]
    assert counts == [1_411_235_496, 629_886_414]
    assert sum(counts) == 2_041_121_910


@pytest.mark.parametrize('name', ['star/i2vgen.py', 'star/i2vgen_fsdp.py'])
def test_official_training(name):
    settings, model = load(name), build(name)
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    numel = {n: p.numel() for n, p in model.named_parameters()}
    liem = {n for n in trained if n.startswith('backbone.')}
    assert sum(numel[n] for n in trained) == 629_888_050
    assert sum(numel[n] for n in liem) == 1_636
    assert all('.local' in n for n in liem) and len(liem) == 50
    assert {n for n in numel if n.startswith('controlnet.')} == trained - liem
    model.train()
    parts = ('autoencoder', 'text_encoder', 'backbone', 'controlnet')
    modes = [getattr(model, part).training for part in parts]
    assert modes == [False, False, False, True]
    for network in (model.backbone, model.controlnet):
        assert network.encoder.sizes.checkpointing
    assert settings.optim_wrapper.type == 'BFloat16OptimWrapper'
    assert settings.optim_wrapper.clip_grad == {'max_norm': 1.0}
    assert settings.optim_wrapper.optimizer == {
        'type': 'AdamW',
        'lr': 5e-5,
        'betas': (0.9, 0.999),
        'eps': 1e-8,
        'weight_decay': 1e-2,
    }
    assert 'param_scheduler' not in settings  # a constant rate
    assert settings.train_cfg.max_iters == 15000
    assert settings.default_hooks.checkpoint.interval == 500
    loader = settings.train_dataloader
    assert (loader.batch_size, settings.auto_scale_lr.base_batch_size) == (
        1,
        8,
    )
    assert (loader.dataset.num_frames, loader.dataset.drop_caption) == (
        32,
        0.5,
    )


def test_official_options():
    model = build('star/i2vgen.py')
    options = model.restore_options
    assert (options.mode, options.scale, options.window) == ('fast', 4, 32)
    assert (options.guidance_scale, options.guidance_rescale) == (7.5, 0.2)
    assert options.color_fix == 'adain'
    texts = ('prompt', 'prompt_suffix', 'negative_prompt')
    assert replace(options, **dict.fromkeys(texts, '')) == RestoreOptions()
    assert options.prompt == 'a good video'
    assert options.negative_prompt.startswith('painting, oil painting')
    assert model.autoencoder.scaling_factor == 0.18215


COGVIDEOX = ['star/cogvideox_5b.py', 'star/cogvideox_2b.py']


@pytest.mark.parametrize('name', COGVIDEOX)
def test_cogvideox_training(name):
    """What the released file's training changed, and nothing else."""
    settings, model = load(name), build(name)
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    kinds = ('.lora.', '.patch_embed.proj.', '.norm_out.', '.proj_out.')
    others = {n for n in trained if not any(kind in n for kind in kinds)}
    assert all(n.startswith('backbone.') for n in trained)
    liem = 2 * settings.model.backbone.get('num_layers', 42)
    assert all('liem' in n or 'local' in n for n in others)
    assert len(others) == liem
    counts = {n: p.numel() for n, p in model.named_parameters()}
    lora = sum(counts[n] for n in trained if '.lora.' in n)
    layers, width = (42, 3072) if name.endswith('5b.py') else (30, 1920)
    assert lora == layers * 4 * 2 * 512 * width
    if name.endswith('5b.py'):
        assert lora == 528_482_304  # of the released file
    model.train()
    assert not model.autoencoder.training and model.backbone.checkpointing
    clip = settings.train_dataloader.dataset
    crop = clip.pipeline[1]
    assert (clip.num_frames, crop.height, crop.width) == (25, 480, 720)


@pytest.mark.parametrize('name', COGVIDEOX)
def test_cogvideox_options(name):
    model = build(name)
    options = model.restore_options
    assert (options.window, options.tile) == (25, (480, 720))
    assert (options.scale, options.color_fix) == (4, 'adain')
    assert (options.guidance_scale, options.guidance_exponent) == (6, 5)
    timesteps = model.schedule.list_timesteps(
        options.mode, options.steps, options.strength
    )
    assert timesteps[:2] == [999, 979] and len(timesteps) == 50
    # the window's seven latents, and an unconditional text of zeros
    assert (options.window - 1) // model.autoencoder.temporal_downsample == 6
    assert options.negative_prompt == '' and model.text_encoder.zero_empty


@pytest.mark.parametrize('name', COGVIDEOX)
def test_cogvideox_weights_are_made_first(name):
    settings = load(name)
    for wanted in (settings.weights, start_files(settings)):
        with pytest.raises(ValueError, match='has to be made first') as error:
            find_weights(wanted)
        assert '\n' not in str(error.value)
        assert f'{wanted["star"].file} has' in str(error.value)


def test_weights_are_named_completely():
    weights = load('star/i2vgen.py').weights
    entries = [weights[k] for k in ('star', 'vae', 'text')]
    entries += weights.variants.values()
    for entry in entries:
        assert '/' in entry.repo
        assert entry.file.endswith(('.pt', '.safetensors'))
        if 'sha256' in entry:
            assert re.fullmatch('[0-9a-f]{64}', entry.sha256)
    assert weights.variants.heavy.sha256 != weights.variants.light.sha256
    assert weights.star.sha256 == weights.variants.heavy.sha256


@every_config
def test_shipped_weights_fit(name):
    asset = load(name).get('weights', {}).get('asset')
    if asset is None:
        pytest.skip('no weights in the package')
    expected = {
        key: tuple(value.shape)
        for key, value in build(name).state_dict().items()
    }
    with safe_open(asset_path(asset), framework='pt') as file:
        found = {
            key: tuple(file.get_slice(key).get_shape())
            for key in file.keys()  # noqa: SIM118 (it is no dict)
        }
    assert found == expected
