from copy import deepcopy
from dataclasses import replace
from itertools import pairwise
from unittest.mock import Mock

import pytest
import torch

from star.apis.inference.devices import computes_bfloat16
from star.models.restoration import local_strategy, restoration
from star.models.restoration.local_plan import (
    LocalLimits,
    LocalNetwork,
    LocalPlan,
    plan_local,
)
from star.models.restoration.local_strategy import is_local
from star.registry import MODELS
from star.video import frame_store
from tests.test_models.networks import randomize

MIB = 2**20
SIZE = (9, 23)


@pytest.fixture(scope='module')
def model():
    config = {
        'type': 'STARModel',
        'autoencoder': {'type': 'PatchDCT', 'patch_size': 2},
        'text_encoder': {'type': 'ConstantTextEncoder', 'dim': 4},
        'backbone': {
            'type': 'CompactDenoiser',
            'gain': 1e3,
            'in_dim': 12,
            'dim': 16,  # a pixel's features are 64 bytes
            'num_conv': 4,
            'mix_every': 2,
            'scale': 2,
        },
        'controlnet': {'type': 'LatentConcat'},
        'schedule': {'type': 'I2VGenSchedule'},
        'residual_std': [1e-3] * 12,
        'restore_options': {
            'scale': 2,
            'strength': 0.01,
            'guidance_scale': 1,
            'mode': 'normal',
            'steps': 1,
            'sampler': 'ddim',
            'color_fix': 'none',
            'noise': 'none',
        },
    }
    model = MODELS.build(config).eval()
    randomize(model.backbone)
    with torch.no_grad():  # of about the size of a picture
        model.backbone.skip.weight.mul_(0.01)
        model.backbone.body[-1].weight.mul_(0.3)
    return model


def make_clip(frames, size=SIZE, dtype=torch.uint8):
    generator = torch.Generator().manual_seed(2)
    high = 256 if dtype == torch.uint8 else 65536
    shape = (frames, 3, *size)
    return torch.randint(high, shape, generator=generator).to(dtype)


def restore_by_latents(model, clip, options, monkeypatch):
    """Restore as models do that have no short reach."""
    with monkeypatch.context() as patch:
        patch.setattr(restoration, 'is_local', lambda *_: False)
        return model.restore(clip, replace(options, window=32))


def restore_cut(model, clip, plan, options, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(local_strategy, 'local_plan', lambda *_, **__: plan)
        return model.restore(clip, options)


def far(a, b):
    return int((a.int() - b.int()).abs().max())


@pytest.mark.parametrize(
    'changes',
    [
        {},
        {'scale': 3},
        {'scale': 1.5, 'color_fix': 'wavelet'},
        {'color_fix': 'adain', 'upsample': 'bilinear'},
        {'strength': 0.005},
    ],
)
@pytest.mark.parametrize('frames', [1, 2, 6])
def test_equals_the_way_over_latents(model, changes, frames, monkeypatch):
    clip = make_clip(frames)
    options = replace(model.restore_options, **changes)
    assert model.is_exact(options)
    out = model.restore(clip, options)
    other = restore_by_latents(model, clip, options, monkeypatch)
    assert out.shape == other.shape
    assert out.float().std() > 20
    assert far(out, other) <= 1
    assert (out != other).float().mean() < 0.01


CUTS = {
    'endless': ([range(23)], None),
    'strips': ([range(8), range(8, 15), range(15, 23)], 9),
    'segments': ([range(23)], 2),
    'both': ([range(11), range(11, 23)], 4),
    'single frames': ([range(3), range(3, 23)], 1),
}


@pytest.mark.parametrize('dtype', [torch.uint8, torch.uint16])
@pytest.mark.parametrize('name', CUTS)
def test_any_cut_gives_the_same_bytes(model, name, dtype, monkeypatch):
    clip, options = make_clip(9, dtype=dtype), model.restore_options
    whole = restore_cut(
        model,
        clip,
        LocalPlan((range(23),), 9, 0, 1.0),
        options,
        monkeypatch,
    )
    strips, segment = CUTS[name]
    plan = LocalPlan(tuple(strips), segment, 0, 1.0)
    assert torch.equal(
        restore_cut(model, clip, plan, options, monkeypatch), whole
    )
    monkeypatch.setattr(frame_store, '_IN_MEMORY', 0)
    assert torch.equal(
        restore_cut(model, clip, plan, options, monkeypatch), whole
    )


@pytest.fixture(scope='module')
def half(model):
    half = deepcopy(model)
    half.place(torch.device('cpu'), torch.bfloat16)
    return half


def test_bfloat16_is_close(model, half):
    """What reads and writes pixels stays float32, the row does not."""
    clip, network = make_clip(4), half.backbone
    kept = (network.pixels, network.skip, network.body[0])
    assert {layer.weight.dtype for layer in kept} == {torch.float32}
    others = (network.body[2], network.mixes[0].conv, network.noised)
    assert {layer.weight.dtype for layer in others} == {torch.bfloat16}
    assert torch.equal(network.pixels.weight, model.backbone.pixels.weight)
    out, exact = half.restore(clip), model.restore(clip)
    assert exact.float().std() > 20
    assert (out.float() - exact.float()).square().mean() < 1
    assert not torch.equal(out, exact)


@pytest.mark.skipif(not computes_bfloat16(), reason='no bfloat16 here')
@pytest.mark.parametrize('name', CUTS)
def test_any_cut_gives_the_same_bytes_in_bfloat16(half, name, monkeypatch):
    clip, options = make_clip(9), half.restore_options
    uncut = LocalPlan((range(23),), 9, 0, 1.0)
    whole = restore_cut(half, clip, uncut, options, monkeypatch)
    strips, segment = CUTS[name]
    plan = LocalPlan(tuple(strips), segment, 0, 1.0)
    out = restore_cut(half, clip, plan, options, monkeypatch)
    assert torch.equal(out, whole)


@pytest.mark.parametrize('changes', [{'tile': 12}, {'window': 3}])
def test_options_change_time_and_memory_only(model, changes):
    clip, options = make_clip(7), model.restore_options
    changes = {'tile_overlap': 0, 'overlap': 0, **changes}
    changed = replace(options, **changes)
    assert torch.equal(model.restore(clip, changed), model.restore(clip))
    described = model.describe_options(options)
    assert described == model.describe_options(changed)
    assert described['noise'] == 'none'


@pytest.mark.parametrize('name', CUTS)
def test_goes_on_at_the_same_places_in_any_cut(model, name, monkeypatch):
    monkeypatch.setattr(local_strategy, 'STRIDE', 3)
    clip = make_clip(9)
    strips, segment = CUTS[name]
    plan = LocalPlan(tuple(strips), segment, 0, 1.0)
    monkeypatch.setattr(local_strategy, 'local_plan', lambda *_, **__: plan)
    whole = model.restore(clip)
    pieces = list(model.restore_pieces(clip))
    assert [len(piece.frames) for piece in pieces] == [1] * 9
    points = [piece.point() for piece in pieces if piece.point]
    assert [(point.frame, point.done) for point in points] == [(1, 3), (4, 6)]
    for point in points:
        rest = model.restore_pieces(clip[point.frame :], point=point)
        found = torch.cat([piece.frames for piece in rest])
        assert torch.equal(found, whole[point.done :])


def test_progress_within_a_segment(model, monkeypatch):
    plan = LocalPlan((range(11), range(11, 23)), 6, 0, 1.0)
    monkeypatch.setattr(local_strategy, 'local_plan', lambda *_, **__: plan)
    monkeypatch.setattr(local_strategy, 'rows_of_band', lambda *_: 3)
    events = Mock()
    list(model.restore_stream(make_clip(12), events=events))
    calls = [each.args for each in events.progress.call_args_list]
    done = [count for stage, count, _ in calls if stage == 'denoise']
    # three bands of two strips, in both segments
    assert done == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]


def test_frames_of_two_sizes_are_refused(model):
    frames = [*make_clip(2), *make_clip(1, (9, 24))]
    with pytest.raises(ValueError, match='one shape and type'):
        list(model.restore_stream(frames))


def test_models_that_need_more_than_one_evaluation(model):
    options = model.restore_options
    for changes in (
        {'steps': 2},
        {'noise': 'per_frame'},
        {'guidance_scale': 2},
        {'compat': 'official'},
    ):
        changed = replace(options, **changes)
        assert not is_local(model.parts, changed), changes
        assert 'window' in model.describe_options(changed)
        assert model.window_memory(changed, (None, *SIZE)) is None


NETWORK = LocalNetwork(dim=64, layers=33, mixes=8, itemsize=4)


def plan(size, **limits):
    out = ((4 * size[0], 4 * size[1]), torch.uint8)
    return plan_local(NETWORK, size, out, LocalLimits(**limits))


def test_small_frames_are_never_computed_twice():
    found = plan((96, 128))
    assert (found.segment, found.cost) == (None, 1.0)
    assert found.memory < 100 * MIB


def test_more_memory_less_time():
    plans = [
        plan((720, 1280), memory=mib * MIB) for mib in (330, 400, 500, 900)
    ]
    for less, more in pairwise(plans):
        assert less.memory <= more.memory
        assert less.cost > more.cost
    assert plans[0].memory <= 330 * MIB
    large = plan((720, 1280), memory=5000 * MIB)
    assert large.cost == 1 and not large.waits


@pytest.mark.parametrize('size', [(360, 640), (720, 1280), (1080, 1920)])
def test_large_frames_fit_by_default(size):
    found = plan(size)
    assert found.memory <= 460 * MIB + 200 * size[0] * size[1]
    columns = [n for strip in found.strips for n in strip]
    assert columns == list(range(size[1]))
    assert found.cost < 1.15
    short = plan(size, frames=8)
    assert short.cost < 1.15 and short.in_turn and not short.waits
    assert short.segment == 8


def test_an_encoder_beside_the_network_takes_its_part():
    network = replace(NETWORK, itemsize=2)
    out = ((1440, 2560), torch.uint8)
    plans = {
        memory: plan_local(network, (360, 640), out, LocalLimits(memory))
        for memory in (0, 600 * MIB)
    }
    assert plans[600 * MIB].segment is None and not plans[600 * MIB].in_turn
    assert plans[0].in_turn and plans[0].segment == 32
    small = plan_local(
        network, (240, 320), ((960, 1280), torch.uint8), LocalLimits()
    )
    assert small.segment is None and not small.in_turn


def test_files_are_counted():
    half = replace(NETWORK, itemsize=2)
    out = ((2880, 5120), torch.uint8)
    found = plan_local(half, (720, 1280), out, LocalLimits())
    assert (len(found.strips), found.segment) == (2, 32)
    features = 2 * 8 * 720 * 2 * (640 + 66) * 64 * 2
    pixels = 48 * 3 * 720 * 1280 * 17  # those of the input and the result
    assert found.scratch == features + pixels
    assert plan((96, 128)).scratch == 0


def test_limits_of_the_user_win():
    found = plan((720, 1280), columns=200, segment=20)
    assert max(map(len, found.strips)) <= 200
    assert found.segment <= 20


def test_the_smallest_plan_where_none_fits():
    found = plan((720, 1280), memory=1)
    assert found.memory == min(
        plan((720, 1280), memory=mib * MIB).memory for mib in (1, 50, 400)
    )
