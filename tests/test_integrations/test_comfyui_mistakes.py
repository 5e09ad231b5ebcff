"""What a user gets to read where a node cannot restore."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.paths import ROOT
from tests.test_integrations.comfy import (
    Comfy,
    module_of,
)
from tests.test_integrations.prompts import (
    as_images,
    restore_file,
    restore_images,
)
from tests.test_video.clips import pictures, write_clip

Act = Callable[[Comfy, Path], Any]


IMAGES = as_images(pictures(1, 8, 8))


@pytest.mark.parametrize(
    ('act', 'message'),
    [
        (
            lambda c, _: restore_images(c, IMAGES, seed=3),
            '`seed` means nothing to Bicubic, which uses fidelity, scale, '
            'window',
        ),
        (
            lambda c, _: restore_images(c, IMAGES, more={'steps': 2}),
            '`steps` means nothing to Bicubic, which uses fidelity, scale, '
            'window',
        ),
        (
            lambda c, _: restore_images(
                c, IMAGES, more={'guidance_interval': '1'}
            ),
            '`guidance_interval` must be two shares that increase, as in '
            "0.1-0.8, got '1'",
        ),
        (
            lambda c, _: restore_images(c, IMAGES[..., :1]),
            '`images` must be (B, H, W, 3 or 4) with B >= 1, got (1, 8, 8, 1)',
        ),
        (
            lambda c, _: restore_images(c, IMAGES / 0),
            'the images hold values that are no numbers',
        ),
        (
            lambda c, _: restore_images(c, IMAGES, mask=torch.ones(3, 8, 8)),
            '`mask` must be 1 or 1 masks, (B, H, W), got (3, 8, 8)',
        ),
        (
            lambda c, _: restore_images(c, IMAGES, 'realbasicvsr'),
            '`mmagic` is not installed; it comes with the extra ',
        ),
        (
            lambda c, _: restore_images(c, IMAGES, weights='no.pt'),
            "`weights` means nothing to Bicubic, which has none, got 'no.pt'",
        ),
        (
            lambda c, _: restore_images(c, IMAGES, 'i2vgen'),
            'weights are missing; heavy_deg.pt: from https://',
        ),
        (
            lambda c, _: restore_images(c, IMAGES, offload='model'),
            '`offload` means nothing to Bicubic, which has no such layers',
        ),
        (
            lambda c, _: restore_file(c, ROOT / 'README.md', 'c/x.mp4'),
            f'{ROOT}/README.md: cannot be opened (Invalid data)',
        ),
        (
            lambda c, _: restore_file(c, 'video.mp4', 'c/', codec='nonsense'),
            "there is no encoder called 'nonsense'",
        ),
    ],
)
def test_a_mistake_is_one_line(
    comfy: Comfy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    act: Act,
    message: str,
) -> None:
    def no_network(*_: Any) -> None:
        raise OSError('no network')

    monkeypatch.setattr('star.apis.inference.weights.fetch', no_network)
    monkeypatch.setitem(sys.modules, 'mmagic', None)
    write_clip(comfy.folder / 'input' / 'video.mp4', pictures(1, 16, 16))
    with pytest.raises((ValueError, ImportError)) as caught:
        act(comfy, tmp_path)
    text = str(caught.value)
    assert text.startswith(message)
    assert '\n' not in text


def test_out_of_memory_is_one_line(
    comfy: Comfy, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = module_of(comfy, 'running')

    def run_out(*_: Any) -> Iterator[Any]:
        raise torch.OutOfMemoryError('CUDA out of memory.\nTried ...')
        yield

    monkeypatch.setattr(running, 'restore_frames', run_out)
    with pytest.raises(MemoryError) as caught:
        restore_images(comfy, IMAGES)
    assert str(caught.value) == (
        'out of memory: smaller pieces need less; give `tile` (such as 512) '
        'or a smaller `window`'
    )
    assert comfy.calls[-1] == 'empty'


def test_a_result_that_cannot_fit_is_refused(
    comfy: Comfy, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = module_of(comfy, 'images')
    monkeypatch.setattr(images, 'free_memory', lambda _: 10**6)
    batch = torch.zeros(8, 64, 64, 3)
    with pytest.raises(ValueError, match='8 images of 256x256 take 6 MB of'):
        restore_images(comfy, batch)


def test_memory_chooses_windows_as_the_command_does(
    comfy: Comfy, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = module_of(comfy, 'running')
    seen = []

    def choose(restorer, options, clip, codec, rules):
        seen.append((clip, codec, rules.limit, rules.fixed))
        return running_choose(restorer, options, clip, codec, rules)

    running_choose = running.choose_cuts
    monkeypatch.setattr(running, 'choose_cuts', choose)
    with pytest.raises(ValueError, match='1 MB of memory are too little'):
        restore_images(comfy, IMAGES, window=2, memory_gb=0.001)
    assert seen == [((1, 8, 8), '', 10**6, ('window',))]
