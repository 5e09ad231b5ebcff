"""Fidelity of restorations: each frame is corrected by its own input."""

from dataclasses import replace
from itertools import islice

import pytest
import torch
from torch import Tensor

from star.apis.inference.build import build_model, load_config, take_random
from star.models.contracts import Restorer
from star.models.editors import Bicubic, RealESRGANCompact
from star.models.restoration import restoration
from star.models.restoration.choose import choose_options
from star.models.restoration.options import RestoreOptions
from star.video.fidelity import keep_input
from tests.test_models.fakes import (
    GroupingAutoencoder,
    PixelBackbone,
    fake_model,
    random_clip,
)
from tests.test_models.test_editors.test_base import Neighbours, Repeater

SLOW = [
    pytest.param(name, marks=pytest.mark.slow)
    for name in ('tiny', 'tiny_dove', 'tiny_swiftvr', 'tiny_compact')
]


def tiny(name: str) -> Restorer:
    """Build a config's model with random weights."""
    model = build_model(load_config(name)).eval()
    take_random(model)
    return model


def with_value(model: Restorer, fidelity: float) -> RestoreOptions:
    return replace(model.restore_options, fidelity=fidelity)


def corrected(model: Restorer, lq: Tensor, fidelity: float) -> Tensor:
    """Restore, and correct afterwards."""
    pairs = zip(model.restore(lq), lq, strict=True)
    return torch.stack([keep_input(*pair, fidelity) for pair in pairs])


def compact() -> RealESRGANCompact:
    model = RealESRGANCompact(num_conv=2)
    take_random(model)
    return model.eval()


MODELS = {
    'filter': lambda: Bicubic(scale=1.5),
    'fading windows': lambda: Neighbours('fade', 5, 2),
    'trimmed windows': lambda: Neighbours('trim', 3),
    'tiles': lambda: fake_model(PixelBackbone, tile=8, tile_overlap=2),
    'short segments': lambda: fake_model(PixelBackbone, window=4, overlap=1),
    'latents of four frames': lambda: fake_model(
        PixelBackbone, autoencoder=GroupingAutoencoder, window=5, overlap=1
    ),
    'network': compact,
}


@pytest.mark.parametrize('name', [*MODELS, *SLOW])
def test_every_method_is_corrected_frame_by_frame(name: str):
    model = MODELS[name]() if name in MODELS else tiny(name)
    lq = random_clip(7)
    assert 'fidelity' in model.options_used
    plain = model.restore(lq)
    assert torch.equal(model.restore(lq, with_value(model, 0)), plain)
    out = model.restore(lq, with_value(model, 0.6))
    assert torch.equal(out, corrected(model, lq, 0.6))
    assert not torch.equal(out, plain)


@pytest.mark.parametrize('name', ['fading windows', 'short segments'])
def test_goes_on_at_every_point(monkeypatch, name: str):
    monkeypatch.setattr(restoration, 'SEGMENT_BYTES', 1)
    monkeypatch.setattr(restoration, 'WEIGHT_SHARE', 0)
    model, lq = MODELS[name](), random_clip(12)
    options = with_value(model, 0.6)
    whole, done, points = model.restore(lq, options), 0, 0
    for piece in model.restore_pieces(iter(lq), options):
        done += len(piece.frames)
        if piece.point is None:
            continue
        point = piece.point()
        rest = model.restore_pieces(
            iter(lq[point.frame :]), options, None, point
        )
        out = torch.cat([each.frames for each in rest])
        assert torch.equal(out, whole[done:])
        points += 1
    assert points >= 2


def test_cuts_change_nothing():
    """Where a method is exact, so it is with fidelity."""
    lq = random_clip(9, 30, 41)
    model = compact()
    whole = model.restore(lq, with_value(model, 1))
    for cut in ({'tile': 96, 'tile_overlap': 32}, {'window': 2}):
        options = replace(with_value(model, 1), **cut)
        assert torch.equal(model.restore(lq, options), whole)


def test_frames_come_as_soon_as_without():
    read = 0

    def frames():
        nonlocal read
        for frame in random_clip(60):
            read += 1
            yield frame

    model = Repeater()
    pieces = model.restore_stream(frames(), with_value(model, 0.5))
    for _ in islice(pieces, 3):
        pass
    assert read == 7  # three windows of two, and one frame to know the last


def test_16_bits_stay():
    deep = (random_clip(2).int() * 257).to(torch.uint16)
    model = Bicubic(scale=2)
    out = model.restore(deep, with_value(model, 1))
    assert out.dtype == torch.uint16
    assert torch.equal(out, corrected(model, deep, 1))


def test_records_have_it_where_it_matters():
    for model in (Bicubic(), fake_model()):
        plain = model.describe_options(model.restore_options)
        assert 'fidelity' not in plain  # as before it was known
        found = model.describe_options(with_value(model, 0.5))
        assert found == {**plain, 'fidelity': 0.5}


@pytest.mark.parametrize('name', ['tiny_stablesr', 'tiny_mgld_vsr'])
def test_is_not_that_of_a_decoder(name: str):
    model = build_model(load_config(name))
    found = model.describe_options(with_value(model, 0.25))
    assert found['fidelity'] == 0.25
    assert found['decoder_fidelity'] == model.fidelity


def test_is_chosen_by_its_name():
    assert choose_options(Bicubic(), {'fidelity': 1}).fidelity == 1
    with pytest.raises(ValueError, match='`fidelity` must be >= 0 and <= 1'):
        choose_options(Bicubic(), {'fidelity': 1.5})
