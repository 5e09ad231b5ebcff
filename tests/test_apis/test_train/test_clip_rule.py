"""The rule of a model's clips, against networks that run."""

import pytest
import torch

import star.models  # noqa: F401
from star.apis.inference.build import build_model, load_config, on_meta
from star.apis.train.clip_rule import ClipRule, NumberRule, clip_rule
from star.registry import MODELS
from star.structures import VideoSample


def test_numbers_that_follow_a_rule():
    rule = NumberRule(32, 16, 32)
    good = [n for n in range(200) if rule.fits(n)]
    assert good == [48, 80, 112, 144, 176]
    assert rule.nearest(96) == [80, 112, 144]
    assert rule.nearest(1) == rule.nearest(48)[:] == [48, 80]
    assert NumberRule().nearest(3) == [2, 3, 4]
    assert rule.describe(96) == (
        '16 more than a multiple of 32, e.g. 80, 112 or 144, got 96'
    )
    assert rule.describe(16) == 'at least 48, e.g. 48 or 80, got 16'
    assert NumberRule(8, 0, 8).describe(9) == (
        'a multiple of 8, e.g. 8, 16 or 24, got 9'
    )


@pytest.mark.parametrize(
    ('one', 'two'),
    [
        ((4, 2, 4), (6, 0, 1)),
        ((32, 16, 32), (3, 0, 3)),
        ((1, 0, 1), (5, 1, 6)),
    ],
)
def test_numbers_that_follow_two_rules(one, two):
    one, two = NumberRule(*one), NumberRule(*two)
    both = one.both(two)
    for number in range(1, 500):
        assert both.fits(number) == (one.fits(number) and two.fits(number))
    scaled = one.scaled(3)
    for number in range(1, 300):
        whole = number % 3 == 0
        assert scaled.fits(number) == (whole and one.fits(number // 3))


def test_rules_that_exclude_each_other():
    assert NumberRule(4, 2).both(NumberRule(4)) is None


def sizes_of(name):
    with on_meta():
        rule = clip_rule(build_model(load_config(name)))
    return rule.num_frames, rule.sides, rule.scale, rule.why


@pytest.mark.parametrize(
    ('name', 'frames', 'height', 'width'),
    [
        ('tiny', (1, 0, 1), (16, 8, 16), (16, 0, 16)),
        ('tiny_compact', (1, 0, 1), (4, 0, 4), (4, 0, 4)),
        ('tiny_cogvideox', (4, 1, 1), (16, 0, 16), (16, 0, 16)),
        ('i2vgen', (1, 0, 1), (64, 16, 64), (64, 0, 64)),
        ('cogvideox_2b', (4, 1, 1), (16, 0, 16), (16, 0, 16)),
        ('cogvideox_5b', (4, 1, 1), (16, 0, 16), (16, 0, 16)),
    ],
)
def test_rules_of_the_configs(name, frames, height, width):
    found = sizes_of(name)
    sides = NumberRule(*height), NumberRule(*width)
    assert found[:3] == (NumberRule(*frames), sides, 4)


_SMALL = {
    f'model.{part}.sizes.{key}': value
    for part in ('backbone', 'controlnet')
    for key, value in {'dim': 32, 'head_dim': 8, 'num_heads': 2}.items()
}


def small(name, **changes):
    config = load_config(name)
    config.merge_from_dict(changes)
    return config.model


def levels(count):
    """The UNet with `count` levels on latents of two pixels a side."""
    parts = {f'model.{p}.in_dim': 12 for p in ('backbone', 'controlnet')}
    mults = {
        f'model.{p}.sizes.dim_mult': (1,) * count
        for p in ('backbone', 'controlnet')
    }
    rest = {
        'model.autoencoder.patch_size': 2,
        'model.backbone.out_dim': 12,
        'model.residual_std': [0.1] * 12,
    }
    return small('tiny', **_SMALL, **parts, **mults, **rest)


MODELS_TO_RUN = {
    'one level': lambda: levels(1),
    'two levels': lambda: levels(2),
    'three levels': lambda: small('tiny', **_SMALL),
    'four levels': lambda: levels(4),
    'compact': lambda: small(
        'tiny_compact',
        **{'model.backbone.num_conv': 2, 'model.backbone.dim': 8},
    ),
    'cogvideox': lambda: small('tiny_cogvideox'),
}


def takes(model, frames, height, width):
    """Train for a step; return whether no part refuses the clip."""
    clip = torch.zeros(frames, 3, height, width, dtype=torch.uint8)
    sample = VideoSample(gt=clip, prompt='', name='clip', seed=0)
    try:
        losses = model.loss(torch.zeros(1, 3, frames, height, width), [sample])
    except (RuntimeError, ValueError):
        return False
    sum(v.mean() for k, v in losses.items() if k.startswith('loss')).backward()
    return True


@pytest.mark.parametrize('name', MODELS_TO_RUN)
def test_the_rule_is_that_of_the_running_network(name):
    """No size that works is refused, and no other passes."""
    torch.manual_seed(0)
    model = MODELS.build(MODELS_TO_RUN[name]()).train()
    rule = clip_rule(model)
    height, width = (side.nearest(1)[0] for side in rule.sides)
    frames = rule.num_frames.nearest(2)[-1]
    tried = {
        *((frames, n, width) for n in (*range(1, 37), 40, 48, 52)),
        *((frames, height, n) for n in (*range(1, 37), 40, 48, 52)),
        *((n, height, width) for n in range(1, 10)),
    }
    for clip in sorted(tried):
        fits = rule.num_frames.fits(clip[0]) and all(
            side.fits(n) for side, n in zip(rule.sides, clip[1:], strict=True)
        )
        assert takes(model, *clip) == fits, clip


class Owner(torch.nn.Module):
    """A trainer from outside, around parts from outside."""

    def __init__(self, controlnet=None):
        super().__init__()
        self.inner = torch.nn.Module()
        self.inner.autoencoder = torch.nn.Identity()
        self.inner.autoencoder.downsample = 6
        self.inner.autoencoder.temporal_downsample = 1
        self.inner.backbone = torch.nn.Identity()
        self.inner.backbone.size_multiple = (2, 3)
        self.inner.backbone.size_remainder = (1, 0)
        self.inner.controlnet = controlnet


def test_parts_from_outside():
    rule = clip_rule(Owner())
    assert rule.sides == (NumberRule(12, 6, 12), NumberRule(18, 0, 18))
    assert (rule.num_frames, rule.scale) == (NumberRule(), 1)
    stricter = torch.nn.Identity()
    stricter.size_multiple, stricter.size_remainder = (1, 2), (0, 0)
    assert clip_rule(Owner(stricter)).sides[1] == NumberRule(36, 0, 18)
    assert clip_rule(torch.nn.Linear(1, 1)) is None
    assert isinstance(rule, ClipRule)
