"""Images that the nodes restore."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.test_integrations.comfy import (
    Comfy,
    InterruptProcessingException,
)
from tests.test_integrations.prompts import (
    as_images,
    command,
    read,
    restore_images,
)
from tests.test_video.clips import pictures, write_clip
from tests.test_video.scenes import scene


def two_scenes() -> np.ndarray:
    """Film two places; one frame has no colour."""
    frames = np.concatenate([scene(4, seed, (24, 32)) for seed in (1, 2)])
    frames[0] = frames[0, ..., :1]
    return frames


@pytest.mark.parametrize('config', ['tiny_compact', 'bicubic'])
def test_images_are_restored_as_the_command_does(
    comfy: Comfy, tmp_path: Path, config: str
) -> None:
    src, dst = tmp_path / 'in.mkv', tmp_path / 'out'
    write_clip(src, two_scenes(), codec='ffv1', pix_fmt='bgr0')
    command(src, f'{dst}/', '--codec', 'png', '--config', config)
    batch = as_images(read(src)[0])
    images, mask = restore_images(comfy, batch, config)
    wanted, _ = read(dst / 'in')
    assert images.dtype == torch.float32
    assert torch.equal(images, as_images(wanted))
    assert torch.equal(mask, torch.zeros(1, 96, 128))
    if config == 'tiny_compact':  # its frames see their neighbours
        images, _ = restore_images(comfy, batch, config, scenes='none')
        differ = (images != as_images(wanted)).flatten(1).any(1)
        assert {3, 4} <= {*differ.nonzero().flatten().tolist()}


def test_depth_and_opacity_are_kept_as_the_command_does(
    comfy: Comfy, tmp_path: Path
) -> None:
    import cv2

    deep = pictures(3, 20, 12).astype(np.uint16) * 257 + 77
    alpha = (deep[..., :1] // 3 * 2).astype(np.uint16)
    (tmp_path / 'in').mkdir()
    for i, frame in enumerate(np.concatenate([deep, alpha], -1)):
        path = tmp_path / 'in' / f'{i}.png'
        cv2.imwrite(str(path), cv2.cvtColor(frame, cv2.COLOR_RGBA2BGRA))
    command(tmp_path / 'in', tmp_path / 'out/', '--config', 'bicubic')
    frames, alphas = read(tmp_path / 'in', 16)
    batch = np.concatenate([frames, np.stack(alphas)[..., None]], -1)
    images, mask = restore_images(comfy, as_images(batch))
    wanted, opacity = read(tmp_path / 'out', 16)
    assert torch.equal(images[..., :3], as_images(wanted))
    assert torch.equal(images[..., 3], as_images(np.stack(opacity)))
    assert torch.equal(mask, 1 - images[..., 3])
    # a mask of its own is what LoadImage makes of the opacity
    given_mask = 1 - as_images(np.stack(alphas))
    _, again = restore_images(comfy, as_images(frames), mask=given_mask)
    assert torch.equal(again, mask)


def test_a_mask_may_have_a_size_of_its_own(comfy: Comfy) -> None:
    images = as_images(pictures(2, 16, 12))
    _, mask = restore_images(comfy, images, mask=torch.ones(64, 64), scale=2.0)
    assert torch.equal(mask, torch.ones(1, 24, 32))


@pytest.mark.parametrize(
    'config',
    ['tiny_compact', pytest.param('tiny', marks=pytest.mark.slow)],
)
def test_options_are_those_of_the_command(
    comfy: Comfy, tmp_path: Path, config: str
) -> None:
    src, dst = tmp_path / 'in.mkv', tmp_path / 'out'
    write_clip(src, pictures(5, 24, 16), codec='ffv1', pix_fmt='bgr0')
    options = f'--config {config} --weights random --window 3 --seed 7'
    strength = 0.5 if config == 'tiny' else 0.006  # it knows little noise
    options += f' --strength {strength} --steps 2 --color-fix wavelet'
    options += ' --scale 2'
    command(src, f'{dst}/', '--codec', 'png', *options.split())
    values = {'window': 3, 'seed': 7, 'color_fix': 'wavelet', 'scale': 2.0}
    images, _ = restore_images(
        comfy,
        as_images(read(src)[0]),
        config,
        more={'steps': 2, 'strength': strength},
        weights='random',
        **values,
    )
    assert torch.equal(images, as_images(read(dst / 'in')[0]))


def test_images_can_be_interrupted(comfy: Comfy) -> None:
    comfy.hook = lambda: setattr(comfy, 'interrupted', True)
    with pytest.raises(InterruptProcessingException):
        restore_images(comfy, as_images(pictures(6, 16, 16)), window=2)


def test_memory_is_comfyuis(
    comfy: Comfy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others leave the device before a run, and this model afterwards."""
    from star.apis.inference.devices import computes_bfloat16
    from star.models.editors.real_esrgan.real_esrgan import RealESRGANCompact
    from star.models.editors.star.star_model import STARModel

    def record(kind: type) -> None:
        place, enlarge = kind.place, kind.restore_stream

        def placed(self, device, dtype) -> None:
            comfy.calls.append(f'place {dtype}')
            place(self, device, dtype)

        def restored(self, *args: Any) -> Any:
            comfy.calls.append('restore')
            return enlarge(self, *args)

        monkeypatch.setattr(kind, 'place', placed)
        monkeypatch.setattr(kind, 'restore_stream', restored)

    record(STARModel)
    record(RealESRGANCompact)
    restore_images(comfy, as_images(pictures(1, 16, 16)), 'tiny_compact')
    suits = torch.bfloat16 if computes_bfloat16() else torch.float32
    dtype = f'place {suits}'
    load = ['unload', 'empty', dtype, dtype, 'empty']
    run = ['unload', 'empty', dtype, 'restore', dtype, 'empty']
    assert [c for c in comfy.calls if c not in load] == ['restore']
    assert comfy.calls == load + run
    _, _, (method,) = comfy.cache['1']
    assert len(str(method)) < 200  # ComfyUI shows inputs in errors


def test_half_precision_is_rounded_to_levels(comfy: Comfy) -> None:
    frames = pictures(2, 16, 16)
    wanted, _ = restore_images(comfy, as_images(frames))
    images, _ = restore_images(comfy, as_images(frames).half())
    assert torch.equal(images, wanted)
