"""The widgets of the nodes, and the options that they give.

Each widget has a value that stands for the method's own, from its config.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from star.cli.options import choices
from star.cli.options.savings import interval

AUTO = 'auto'
_MOST = 2**31 - 1


@dataclass(frozen=True)
class Widget:
    """A widget of a node.

    Args:
        kind: ComfyUI's type, or the words of a list.
        auto: value that stands for the method's own.
        tip: shown when the pointer rests on it.
        extra: further settings of the widget.
    """

    kind: str | list[str]
    auto: Any
    tip: str
    extra: Mapping[str, Any] = field(default_factory=dict)

    def describe(self) -> tuple[str | list[str], dict[str, Any]]:
        """Return the widget as ComfyUI wants it."""
        settings = {'default': self.auto, 'tooltip': self.tip, **self.extra}
        return self.kind, settings


def _whole(auto: int, tip: str, most: int = _MOST) -> Widget:
    return Widget('INT', auto, tip, {'min': auto, 'max': most})


def _number(auto: float, tip: str, most: float) -> Widget:
    settings = {'min': auto, 'max': most, 'step': 0.01, 'round': False}
    return Widget('FLOAT', float(auto), tip, settings)


def _words(words: tuple[str, ...], tip: str) -> Widget:
    return Widget([AUTO, *words], AUTO, tip)


def _text(tip: str, multiline: bool = False) -> Widget:
    return Widget('STRING', '', tip, {'multiline': multiline})


_OWN = "the method's own"
USUAL = {
    'scale': _number(0, f'output size over input size; 0: {_OWN}', 16),
    'seed': Widget(
        'INT',
        -1,
        f'of all random numbers; -1: {_OWN}. Methods without random numbers '
        'accept -1 only',
        # else ComfyUI would set a new number after each run
        {'min': -1, 'max': 2**32 - 1, 'control_after_generate': False},
    ),
    'window': _whole(
        0,
        f'frames that the network sees at once; 0: {_OWN}, fewer if the '
        'memory is short',
    ),
    'overlap': _whole(-1, 'frames that windows share; -1: what fits'),
    'tile': _whole(
        -1,
        f'side of a tile in output pixels; 0: no tiles, -1: {_OWN}, smaller '
        'if the memory is short',
    ),
    'color_fix': _words(
        choices.COLOR_FIXES, f'where the colours come from; auto: {_OWN}'
    ),
    'prompt': _text(
        'what the video shows; only for methods that read it', True
    ),
}
MORE = {
    'strength': _number(
        0,
        f'noise added to the input; less stays closer to it; 0: {_OWN}',
        1,
    ),
    'mode': _words(
        choices.MODES, 'fast: 14 fixed evaluations; normal: `steps`'
    ),
    'steps': _whole(0, f'evaluations, implies mode normal; 0: {_OWN}', 1000),
    'sampler': _words(choices.SAMPLERS, f'of the diffusion; auto: {_OWN}'),
    'guidance_scale': _number(
        -1, f'how much the prompt counts; 1: no guidance, -1: {_OWN}', 100
    ),
    'guidance_exponent': _whole(
        -1, f'how guidance changes from step to step; -1: {_OWN}', 100
    ),
    'guidance_rescale': _number(
        -1, f'share of the rescale after guidance; -1: {_OWN}', 1
    ),
    'guidance_interval': _text(
        'shares of the steps between which there is guidance, such as '
        f'0.1-0.8; empty: {_OWN}'
    ),
    'cache': _number(
        -1,
        'largest change up to which a step takes the deep features of an '
        f'earlier one; 0: never, -1: {_OWN}',
        1,
    ),
    'negative_prompt': _text(f'what to avoid; empty: {_OWN}', True),
    'prompt_suffix': _text(f'added to the prompt; empty: {_OWN}'),
    'tile_overlap': _whole(
        -1, 'output pixels that neighbouring tiles share; -1: what fits'
    ),
    'blend': _words(choices.BLENDS, f'how windows are joined; auto: {_OWN}'),
    'upsample': _words(
        choices.UPSAMPLINGS, f'enlargement of the input; auto: {_OWN}'
    ),
    'noise': _words(
        choices.NOISES,
        f'shared: the same in every frame, which flickers less; auto: {_OWN}',
    ),
    'compat': _words(
        choices.COMPATS, f'official: padding as published; auto: {_OWN}'
    ),
    # the last one, so that workflows from before keep their values
    'fidelity': _number(
        -1,
        'low frequencies and edges that are taken back from the input; 1: '
        f'truest to it, 0: none, -1: {_OWN}',
        1,
    ),
}
_WIDGETS = {**USUAL, **MORE}


def describe(widgets: Mapping[str, Widget]) -> dict[str, Any]:
    """Return widgets as ComfyUI's INPUT_TYPES wants them."""
    return {name: widget.describe() for name, widget in widgets.items()}


def collect(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that a user has set, by name.

    Args:
        values: of widgets, by name; others are left out.

    Raises:
        ValueError: an interval cannot be read.
    """
    found = {
        name: value
        for name, value in values.items()
        if name in _WIDGETS and value != _WIDGETS[name].auto
    }
    if 'guidance_interval' in found:
        found['guidance_interval'] = _read_interval(found['guidance_interval'])
    return found


def _read_interval(text: str) -> tuple[float, float]:
    try:
        return interval(text)
    except argparse.ArgumentTypeError as error:
        raise ValueError(f'`guidance_interval` {error}') from None
