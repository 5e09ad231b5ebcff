"""Windows and tiles that are chosen for the memory."""

from dataclasses import replace
from pathlib import Path

import pytest

from star.apis import FileOptions, init_model, restore_video
from star.apis.inference import planning
from star.apis.inference.file_options import MemoryRules
from star.apis.inference.memory_plan import MemoryUse, count_memory
from star.apis.inference.planning import (
    choose_cuts,
    earlier_cuts,
    smaller_options,
)
from star.models.restoration.local_strategy import plan_for
from tests.test_apis.clips import write_clip
from tests.test_models.fakes import PixelBackbone, fake_model, small_model

CLIP = 20, 300, 400
MIB = 2**20


def use_of(options) -> MemoryUse:
    """Pixels of a tile and frames of a window, in MiB."""
    side = options.tile or 400
    return MemoryUse(0, 0, side * options.window * MIB, 0, 0)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        planning, 'predict_memory', lambda _, o, *__: use_of(o)
    )
    return fake_model(window=8, overlap=2)


def choose(model, limit: int | None, *fixed: str, **changes):
    options = replace(model.restore_options, **changes)
    rules = MemoryRules(limit and limit * MIB, fixed)
    return choose_cuts(model, options, CLIP, '', rules)


def test_the_own_options_stay_where_they_fit(model) -> None:
    found = choose(model, 4000)
    assert found.options == model.restore_options and not found.changed


@pytest.mark.parametrize(
    'limit, window, tile',
    [(3500, 8, 384), (2500, 8, 256), (1200, 4, 256), (300, 2, 128)],
)
def test_tiles_then_windows_become_smaller(model, limit, window, tile) -> None:
    found = choose(model, limit)
    assert (found.options.window, found.options.tile) == (window, tile)
    assert found.changed and found.use.peak <= 0.9 * limit * MIB
    assert found == choose(model, limit)


def test_the_users_options_win(model) -> None:
    found = choose(model, 1200, 'tile')
    assert (found.options.window, found.options.tile) == (2, 0)
    found = choose(model, 1200, 'window')
    assert (found.options.window, found.options.tile) == (8, 128)
    with pytest.raises(ValueError, match=r'--memory: 0.10 GB .* needs 3.73'):
        choose(model, 100, 'window', 'tile')


def test_what_cannot_fit_is_named(model, monkeypatch) -> None:
    with pytest.raises(ValueError, match=r'--window 2 --tile 64.* 0.15 GB'):
        choose(model, 100)
    monkeypatch.setattr(planning, 'find_limit', lambda *_: 100 * MIB)
    found = choose(model, None)
    assert 'too little' in found.note and found.options.tile == 64


def test_what_cannot_be_predicted_stays(model, monkeypatch) -> None:
    def fail(*_):
        raise NotImplementedError('no shapes')

    monkeypatch.setattr(planning, 'predict_memory', fail)
    found = choose(model, 100)
    assert found.options == model.restore_options and found.use is None
    assert found.note == 'memory cannot be predicted: no shapes'


def test_memory_that_the_user_grants_saves_work() -> None:
    model, clip = init_model('tiny_compact', device='cpu'), (200, 720, 1280)
    plans = {}
    for limit in (None, 9000):
        rules = MemoryRules(limit and limit * MIB)
        found = choose_cuts(model, model.restore_options, clip, '', rules)
        assert not found.changed
        assert limit is None or found.use.peak <= 0.9 * limit * MIB
        plans[limit] = plan_for(model.parts, found.options, clip)
    assert plans[None].cost > plans[9000].cost == 1
    assert plans[9000].segment is None


@pytest.mark.slow
def test_each_step_needs_less() -> None:
    model = small_model(window=8, overlap=2, scale=4)
    found = smaller_options(model, model.restore_options, (80, 96))
    used = [count_memory(model, o, (8, 80, 96)).peak for o in found]
    assert used == sorted(used, reverse=True)
    assert used[-1] < used[0] / 3


def test_a_run_goes_on_with_its_cuts(tmp_path: Path) -> None:
    model = fake_model(PixelBackbone, window=6, overlap=2, tile_overlap=4)
    own = model.restore_options
    chosen = replace(own, window=4, tile=16)
    src, dst = write_clip(tmp_path / 'in.mkv', 6), tmp_path / 'out.mkv'
    rules = MemoryRules()
    assert earlier_cuts(model, own, dst, rules) is None
    files = FileOptions(codec='ffv1', pix_fmt='bgr0', cuts='none')
    restore_video(model, src, dst, chosen, files)
    assert earlier_cuts(model, own, dst, rules) == chosen
    assert earlier_cuts(model, chosen, dst, rules) is None
    fixed = MemoryRules(fixed=('tile',))
    assert earlier_cuts(model, own, dst, fixed) is None
    other = replace(own, seed=5)
    assert earlier_cuts(model, other, dst, rules) is None
