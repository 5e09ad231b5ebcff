"""What every baseline of the configs does, whatever its method."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from star.apis.inference.build import build_model, load_config, take_random
from star.models.editors import DBVSR, Baseline, NetworkBaseline, SwiftVR
from star.models.editors.parts_baseline import PartsBaseline
from star.models.editors.weight_files import FILES
from star.models.restoration.options import RestoreOptions
from star.registry import MODELS
from star.testing import check_restorer
from star.utils.paths import config_root
from tests.test_models.test_editors.test_dbvsr.test_dbvsr import difference

# these are no baselines
OTHER = {'_base_', 'ablations', 'small_decoder', 'star'}
OTHER.add('saved_results')  # reads files: test_saved_results.py
PATHS = {
    path.stem: path
    for path in sorted(config_root().glob('*/*.py'))
    if path.parent.name not in OTHER
}


def is_small(path: Path) -> bool:
    """Return whether a config's networks fit into a test.

    Diffusion methods have a config `tiny_*` each, which stands for the others.
    """
    kind = MODELS.get(load_config(path).model.type)
    return not issubclass(kind, PartsBaseline) or 'tiny' in path.stem


NAMES = sorted(name for name, path in PATHS.items() if is_small(path))
SMALL = {  # blocks that follow one another add seconds and no case
    'DBVSR': {'num_groups': 1, 'num_blocks': 2},
    'RealESRGAN': {'num_blocks': 2},
    'RealBasicVSR': {'num_blocks': 2, 'num_cleaning_blocks': 2},
}
every_baseline = pytest.mark.parametrize('name', NAMES)


def make(name: str) -> Baseline:
    """Build a config's model, its weights not yet filled."""
    settings = load_config(PATHS[name])
    settings.model.update(SMALL.get(settings.model.type, {}))
    try:
        return build_model(settings).eval()
    except ImportError as error:
        pytest.skip(str(error))


@lru_cache(maxsize=1)
def build(name: str) -> Baseline:
    """Build a config's model, with random weights where it has any."""
    model = make(name)
    if isinstance(model, DBVSR):  # its flows take seconds
        flow_network = model.network.flow_network
        flow_network.prepare = lambda frames: [frames]
        flow_network.flow = difference
    if isinstance(model, NetworkBaseline):
        take_random(model)
        stretch(model)
    elif isinstance(model, PartsBaseline):
        take_random(model)
    if isinstance(model, SwiftVR):
        brighten(model)
    return model


@torch.no_grad()
def brighten(model: SwiftVR) -> None:
    """Let its coders pass a signal on, around grey."""
    for parameter in model.autoencoder.parameters():
        if parameter.ndim > 1:
            parameter.mul_(1.65)
    model.autoencoder.decoder[-1].bias.add_(0.5)


def stretch(model: NetworkBaseline) -> None:
    """Spread what random weights give over the range of pixels."""
    restore, seen = model.restore_frames, []

    def stretched(x: Tensor) -> Tensor:
        out = restore(x)
        if not seen:  # the same for all clips
            axes = (0, 2, 3)
            seen.append(out.mean(axes, keepdim=True))
            seen.append(out.std(axes, keepdim=True))
        return 0.5 + 0.2 * (out - seen[0]) / seen[1]

    model.restore_frames = stretched
    model.restore(clip(1))


def clip(frames: int) -> Tensor:
    """Make an odd and small one."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(frames, 3, 3, 4, generator=generator) * 255
    smooth = F.interpolate(coarse, size=(9, 11), mode='bilinear')
    return smooth.round().to(torch.uint8)


@lru_cache(maxsize=1)
def restored(name: str) -> Tensor:
    return build(name).restore(clip(4))


def test_finds_the_configs():
    assert {'bicubic', 'realesr_general_x4v3', 'realviformer'} <= {*NAMES}


@every_baseline
def test_restores_odd_clips_and_leaves_them_alone(name: str):
    model, lq = build(name), clip(4)
    out = model.restore(lq)
    scale = int(model.recipe.scale)
    assert out.shape == (4, 3, 9 * scale, 11 * scale)
    assert out.dtype == torch.uint8
    assert torch.equal(lq, clip(4))
    assert torch.equal(restored(name), out)  # nothing was left over
    assert out.float().std() > 20  # or nothing here tells anything


@every_baseline
def test_keeps_the_contract(name: str):
    check_restorer(build(name), 3, (9, 11))


@every_baseline
def test_windows(name: str):
    """Shorter ones change nothing, but where they have to be blended."""
    model = build(name)
    exact = not model.recipe.overlap or model.recipe.blend == 'trim'
    overlap = model.recipe.overlap if exact else 1
    options = shortest_windows(model, overlap)
    # some methods have segments of a fixed length
    lq = clip(max(4, model.segment_of(options)[0] + 1))
    whole = restored(name) if len(lq) == 4 else model.restore(lq)
    pieces = list(model.restore_stream(iter(lq), options))
    assert len(pieces) > 1
    out = torch.cat(pieces)
    assert out.shape == whole.shape
    assert out.dtype == torch.uint8
    if exact:  # but for the order of sums
        assert (out.int() - whole.int()).abs().max() <= 1


def shortest_windows(model: Baseline, overlap: int) -> RestoreOptions:
    """Choose the shortest windows that a method accepts."""
    own = model.restore_options
    for window in range(overlap + 1, own.window + overlap + 1):
        options = replace(own, window=window, overlap=overlap)
        try:
            model.check_options(options)
        except ValueError:
            continue
        return options
    raise AssertionError('no window is accepted')


@every_baseline
def test_networks_declare_their_files_and_load_none(name: str):
    with torch.device('meta'):
        model = make(name)
    if not isinstance(model, NetworkBaseline):
        pytest.skip('has no network')
    assert model.recipe.licence and model.recipe.source
    assert model.weight_files and set(model.weight_files) <= FILES.keys()
    assert not model.loaded
    with pytest.raises(ValueError, match='has no weights'):
        model.restore(clip(1))
