import json
import math
from collections import Counter

import numpy as np
import pytest

from star.datasets.transforms.degradation_plan import (
    Blur,
    Codec,
    Jpeg,
    Noise,
    Resize,
    at,
    draw_plan,
    step_from_record,
    step_to_record,
)
from star.datasets.transforms.degradation_presets import PRESETS

STEPS = {  # largest change per frame, by field
    'sigma_x': 0.02,
    'sigma_y': 0.02,
    'theta': math.pi / 10,
    'cutoff': math.pi / 50,
    'quality': 3.0,
}
BOUNDS = {
    'sigma_x': (0.2, 3.0),
    'sigma_y': (0.2, 3.0),
    'theta': (-math.pi, math.pi),
    'cutoff': (math.pi / 5, math.pi),
    'quality': (30.0, 95.0),
}


def draw(preset='star', seed=0, size=(144, 160), frames=12, walk=False):
    rng = np.random.default_rng(seed)
    return draw_plan(PRESETS[preset], size, frames, 4, rng, walk)


def levels_of(steps) -> dict[str, list[tuple]]:
    found: dict[str, list[tuple]] = {}
    for step in steps:
        for name, value in vars(step).items():
            if isinstance(value, tuple) and value:
                found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize('preset', PRESETS)
def test_levels_are_constant_or_one_per_frame(preset):
    for seed in range(20):
        for walk, count in ((False, 1), (True, 12)):
            for values in levels_of(draw(preset, seed, walk=walk)).values():
                for value in values:
                    # the final size does not walk
                    assert len(value) == count or value == (1.0,)


def test_walks_stay_in_range_and_are_slow():
    for seed in range(100):
        steps = draw('realbasicvsr', seed, frames=60, walk=True)
        found = levels_of(steps)
        for name, (low, high) in BOUNDS.items():
            for values in found.get(name, []):
                assert low <= min(values) <= max(values) <= high
                change = np.abs(np.diff(values)).max()
                assert 0 < change <= STEPS[name] + 1e-12
        for step in steps:
            check_noise_and_shape(step)


def check_noise_and_shape(step) -> None:
    if isinstance(step, Noise):
        gaussian = step.kind == 'gaussian'
        low, high = (1, 30) if gaussian else (0.05, 3)
        assert low <= min(step.level) <= max(step.level) <= high
        change = np.abs(np.diff(step.level)).max()
        assert change <= (0.1 if gaussian else 0.005) + 1e-12
    if isinstance(step, Blur) and step.beta:
        general = step.kind.startswith('generalized')
        low, high = (0.5, 4) if general else (1, 2)
        assert low <= min(step.beta) <= max(step.beta) <= high
        change = np.abs(np.diff(step.beta)).max()
        assert change <= (0.05 if general else 0.1) + 1e-12


def test_frequencies_are_those_of_the_recipe():
    plans = [draw(seed=seed) for seed in range(3000)]
    first = Counter(plan[0].kind for plan in plans)
    expected = {
        'sinc': 0.1,
        'iso': 0.405,
        'aniso': 0.225,
        'generalized_iso': 0.108,
        'generalized_aniso': 0.027,
        'plateau_iso': 0.108,
        'plateau_aniso': 0.027,
    }
    share = {kind: first[kind] / len(plans) for kind in expected}
    assert share == pytest.approx(expected, abs=0.03)
    noises = [next(s for s in p if isinstance(s, Noise)) for p in plans]
    assert np.mean([n.gray for n in noises]) == pytest.approx(0.4, abs=0.03)
    kinds = [n.kind == 'gaussian' for n in noises]
    assert np.mean(kinds) == pytest.approx(0.5, abs=0.03)
    heights = np.array([plan[1].height for plan in plans])
    assert np.mean(heights > 146) == pytest.approx(0.2, abs=0.03)
    assert heights.min() >= 20 and heights.max() <= 216
    betas = [b for p in plans for b in levels_of(p[:1]).get('beta', [])]
    flat = [b for (b,) in betas if b == 1.0]
    assert len(flat) / first_plateaus(first) == pytest.approx(0.5, abs=0.12)
    second = [sum(isinstance(s, Blur) for s in p) for p in plans]
    assert np.mean(second) == pytest.approx(1 + 0.8 + 0.8, abs=0.04)


def first_plateaus(counts: Counter) -> int:
    return counts['plateau_iso'] + counts['plateau_aniso']


def test_orders():
    """The last steps of each preset, as the first letters of their types."""
    letters = {Blur: 'b', Resize: 'r', Noise: 'n', Jpeg: 'j', Codec: 'c'}

    def endings(preset: str) -> set[str]:
        plans = [draw(preset, seed) for seed in range(60)]
        words = [''.join(letters[type(s)] for s in p) for p in plans]
        return {word[word.rindex('n') + 1 :] for word in words}

    assert endings('realesrgan') == {'jr', 'jrb', 'rj', 'rbj'}
    assert endings('star') == {'jrc', 'jrbc', 'rjc', 'rbjc'}
    assert endings('light') == endings('star')
    assert endings('realbasicvsr') == {'jrc', 'jrbc', 'jcr', 'jcrb'}


@pytest.mark.parametrize('preset', PRESETS)
@pytest.mark.parametrize('size', [(144, 160), (28, 20), (100, 148)])
def test_sizes_are_even_and_end_at_the_target(preset, size):
    for seed in range(30):
        steps = draw(preset, seed, size)
        *others, last = [s for s in steps if isinstance(s, Resize)]
        assert (last.height, last.width) == (size[0] // 4, size[1] // 4)
        for step in others:
            assert step.height % 2 == step.width % 2 == 0


def test_second_resize_is_relative_to_the_target():
    """720 x 1280 keeps its aspect (the official code keeps the full width)."""
    for seed in range(30):
        steps = draw('star', seed, (720, 1280))
        second = [s for s in steps if isinstance(s, Resize)][1]
        assert 54 <= second.height <= 216
        ratio = second.width / second.height
        assert ratio == pytest.approx(16 / 9, abs=0.06)


def test_steps_pass_through_json():
    for seed in range(10):
        steps = draw('realbasicvsr', seed, walk=True)
        text = json.dumps([step_to_record(step) for step in steps])
        again = tuple(step_from_record(r) for r in json.loads(text))
        assert again == steps


def test_wrong_records():
    with pytest.raises(ValueError, match=r"`op` must be in .*'warp'"):
        step_from_record({'op': 'warp'})
    with pytest.raises(ValueError, match='wrong fields for a step'):
        step_from_record({'op': 'jpeg', 'engine': 'diff', 'level': [3]})


def test_one_level_holds_for_all_frames():
    assert at((0.5,), 7) == 0.5
    assert at((0.5, 0.6), 1) == 0.6
