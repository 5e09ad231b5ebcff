"""Frames in memory are restored as those of a file."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from star.apis import FileOptions, restore_video
from star.apis.inference.file_options import MemoryRules
from star.apis.inference.frames import RestoredFrame, restore_frames
from star.apis.inference.load import init_model
from star.models.editors import Bicubic
from star.models.restoration.options import RestoreOptions
from star.video.info import Frame
from star.video.io import VideoReader
from tests.test_apis.clips import Enlarger
from tests.test_models.fakes import Listener
from tests.test_video.clips import pictures, write_clip
from tests.test_video.scenes import scene


def frames_of(images: np.ndarray, alpha: bool = False) -> list[Frame]:
    step = Fraction(1, 25)
    return [
        Frame(image, i * step, step, image[..., 0].copy() if alpha else None)
        for i, image in enumerate(images)
    ]


def stack(restored: Sequence[RestoredFrame]) -> np.ndarray:
    assert [frame.index for frame in restored] == [*range(len(restored))]
    return np.stack([frame.image for frame in restored])


def test_scenes_and_pixels_are_those_of_the_file(tmp_path: Path) -> None:
    images = np.concatenate([scene(4, seed, (24, 32)) for seed in (1, 2)])
    images[1] = images[1, ..., :1]  # no colour comes out of it
    src = write_clip(tmp_path / 'in.mkv', images, codec='ffv1', pix_fmt='bgr0')
    model = init_model('tiny_compact')
    options = replace(model.restore_options, scale=2)
    files = FileOptions(codec='ffv1', pix_fmt='bgr0')
    restore_video(model, src, tmp_path / 'out.mkv', options, files)
    with VideoReader(src) as reader:
        events = Listener()
        found = [*restore_frames(model, list(reader), options, events=events)]
    with VideoReader(tmp_path / 'out.mkv') as reader:
        wanted = np.stack([frame.image for frame in reader])
    np.testing.assert_array_equal(stack(found), wanted)
    assert events.told[-1] == ('decode', 8, 8)
    one = restore_frames(model, frames_of(images), options, 'none')
    assert (stack([*one])[3:5] != wanted[3:5]).any()


def test_opacity_and_depth_are_kept() -> None:
    deep = pictures(2, 16, 12).astype(np.uint16) * 257 + 99
    options, events = RestoreOptions(scale=2), Listener()
    frames = frames_of(deep, alpha=True)
    found = [*restore_frames(Bicubic(2), frames, options, events=events)]
    assert {f.image.dtype for f in found} == {np.dtype(np.uint16)}
    assert (stack(found) % 257).any()  # more than 8 bits
    assert {f.alpha.shape for f in found} == {(24, 32)}
    assert events.notes == []
    found = [*restore_frames(Enlarger(), frames, options, events=events)]
    assert not (stack(found) % 257).any()
    assert events.notes == [
        'Enlarger restores with 8 bits, the frames have more'
    ]


class Hungry(Bicubic):
    """Runs out of memory with windows of more than two frames."""

    def restore_stream(self, frames, options=None, events=None):
        for i, piece in enumerate(
            super().restore_stream(frames, options, events)
        ):
            if i and options.window > 2:
                raise torch.OutOfMemoryError('CUDA out of memory')
            yield piece


def test_a_scene_begins_again_where_memory_runs_out() -> None:
    model, events = Hungry(2), Listener()
    frames = frames_of(pictures(9, 16, 12))
    options = replace(model.restore_options, window=8)
    rules = MemoryRules()
    found = [*restore_frames(model, frames, options, 'none', rules, events)]
    assert [f.index for f in found] == [*range(8), *range(4), *range(9)]
    whole = restore_frames(Bicubic(2), frames, options, 'none')
    np.testing.assert_array_equal(stack(found[12:]), stack([*whole]))
    assert events.notes == [
        'memory ran out (CUDA out of memory); from frame 0 on the clip is '
        f'restored with --window {window}'
        for window in (4, 2)
    ]
    for rules in (None, MemoryRules(fixed=('window',))):
        with pytest.raises(torch.OutOfMemoryError):
            [*restore_frames(model, frames, options, 'none', rules)]


def test_other_errors_are_raised() -> None:
    with pytest.raises(ValueError, match='the model gave up'):
        [
            *restore_frames(
                Enlarger(fail_after=1),
                frames_of(pictures(2, 8, 8)),
                RestoreOptions(),
                'none',
                MemoryRules(),
            )
        ]
