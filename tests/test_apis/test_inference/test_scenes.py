"""Tests that nothing of a restoration crosses a cut."""

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from star.apis import FileOptions, restore_video
from star.models.contracts import Restorer
from star.registry import MODELS
from star.video.info import VideoError
from star.video.io import VideoReader
from tests.test_models.networks import randomize
from tests.test_models.test_backbones.test_compact.test_denoiser import STAR
from tests.test_models.test_editors.test_network_baseline import Sums
from tests.test_video.clips import RATE, write_clip
from tests.test_video.scenes import scene

LOSSLESS = FileOptions(codec='ffv1', pix_fmt='bgr0')
LENGTHS = (9, 4, 7)


def windowed() -> Restorer:
    """Make a diffusion model with windows and frames beside frames."""
    model = MODELS.build(STAR)
    randomize(model.backbone, scale=0.01)
    model.restore_options = replace(
        model.restore_options, scale=2, window=5, overlap=2, tile=0
    )
    return model.eval()


def recurrent() -> Restorer:
    """Make a method whose memory crosses windows."""
    model = Sums()
    model.loaded = True
    return model


def write(path: Path, images: np.ndarray) -> Path:
    return write_clip(path, list(images), codec='ffv1', pix_fmt='bgr0')


def restore(model, src: Path, dst: Path, **options) -> np.ndarray:
    restore_video(model, src, dst, files=replace(LOSSLESS, **options))
    with VideoReader(dst) as reader:
        return np.stack([frame.image for frame in reader])


@pytest.mark.parametrize('build', [windowed, recurrent])
def test_joined_clips_are_restored_as_each_alone(tmp_path, build):
    model = build()
    clips = [scene(n, i, (24, 32)) for i, n in enumerate(LENGTHS)]
    alone = [
        restore(model, write(tmp_path / f'{i}.mkv', c), tmp_path / f'{i}r.mkv')
        for i, c in enumerate(clips)
    ]
    src = write(tmp_path / 'all.mkv', np.concatenate(clips))
    together = restore(model, src, tmp_path / 'out.mkv')
    np.testing.assert_array_equal(together, np.concatenate(alone))
    cuts = tmp_path / 'cuts.txt'
    cuts.write_text(f'9\n{13 / RATE}\n')
    given = restore(model, src, tmp_path / 'given.mkv', cuts=cuts)
    np.testing.assert_array_equal(given, together)
    none = restore(model, src, tmp_path / 'none.mkv', cuts='none')
    changed = np.abs(none.astype(int) - together).max((1, 2, 3))
    assert changed[8:10].max() > 0


def test_joined_clips_are_coded_as_each_alone(tmp_path):
    model = recurrent()
    clips = [scene(n, i, (24, 32)) for i, n in enumerate(LENGTHS)]
    alone = []
    for i, clip in enumerate(clips):
        src, dst = write(tmp_path / f'{i}.mkv', clip), tmp_path / f'{i}.mp4'
        restore_video(model, src, dst)
        alone += packets(dst)
    src = write(tmp_path / 'all.mkv', np.concatenate(clips))
    restore_video(model, src, tmp_path / 'all.mp4')
    assert packets(tmp_path / 'all.mp4') == alone


def packets(path: Path) -> list[bytes]:
    """Return the coded frames of a video."""
    with av.open(str(path)) as container:
        return [bytes(p) for p in container.demux(video=0) if p.size]


def test_first_frames_of_a_still_clip_are_like_the_others(tmp_path):
    still = scene(1, 3, (24, 32)).repeat(12, 0)
    src = write(tmp_path / 'still.mkv', still)
    frames = restore(windowed(), src, tmp_path / 'out.mkv').astype(int)
    steps = np.abs(np.diff(frames, axis=0)).mean((1, 2, 3))
    assert steps.max() < 0.1


@pytest.mark.parametrize(
    ('text', 'message'),
    [('5\nfive\n', "line 2.*'five'"), ('40\n', 'no frame 40.*has 12')],
)
def test_wrong_lists_of_cuts_are_refused_before_the_work(
    tmp_path, text, message
):
    src = write(tmp_path / 'in.mkv', scene(12, size=(24, 32)))
    cuts = tmp_path / 'cuts.txt'
    cuts.write_text(text)
    with pytest.raises(VideoError, match=message):
        restore(windowed(), src, tmp_path / 'out.mkv', cuts=cuts)
    assert {p.name for p in tmp_path.iterdir()} == {'in.mkv', 'cuts.txt'}
