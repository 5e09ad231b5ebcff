import numpy as np
import pytest

from star.datasets.transforms import degradation_codec as module
from star.datasets.transforms.degradation_codec import CODECS, code_clip


def draw_clip(length: int, height: int, width: int) -> np.ndarray:
    """Draw grays that move by a pixel a frame, with some noise."""
    rng = np.random.default_rng(0)
    cells = rng.integers(40, 216, (height // 8 + 1, width // 8 + 1, 1))
    image = np.kron(cells, np.ones((8, 8, 1)))[:height, :width]
    frames = np.stack([np.roll(image, t, axis=1) for t in range(length)])
    noisy = frames + rng.normal(0, 4, frames.shape)
    gray = noisy.round().clip(0, 255).astype(np.uint8)
    return gray.repeat(3, axis=-1)


def error(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.mean((a.astype(float) - b) ** 2)))


@pytest.mark.parametrize('codec', CODECS)
@pytest.mark.parametrize(
    'shape', [(1, 36, 40), (5, 45, 79), (20, 33, 16), (3, 5, 3)]
)
def test_keeps_count_and_size(codec, shape):
    clip = draw_clip(*shape)
    assert code_clip(clip, codec, 0.5).shape == clip.shape


@pytest.mark.parametrize('codec', CODECS)
def test_rate_decides_the_loss(codec):
    clip = draw_clip(6, 64, 96)
    losses = [error(code_clip(clip, codec, b), clip) for b in (4, 1, 0.1)]
    assert losses[0] * 1.1 < losses[1] < losses[2] / 1.1, losses


@pytest.mark.parametrize('codec', CODECS)
def test_frames_stay_in_order(codec):
    levels = np.array([30, 200, 60, 120, 90, 180, 45, 150], np.uint8)
    clip = np.broadcast_to(levels[:, None, None, None], (8, 32, 48, 3))
    out = code_clip(np.ascontiguousarray(clip), codec, 2.0)
    np.testing.assert_allclose(out.mean((1, 2, 3)), levels, atol=3)


@pytest.mark.parametrize('codec', CODECS)
def test_colours_keep_their_level(codec):
    """No truncation, and one colour matrix both ways."""
    for colour in [(250, 20, 30), (20, 200, 40), (9, 9, 240), (128,) * 3]:
        clip = np.empty((3, 32, 32, 3), np.uint8)
        clip[:] = colour
        out = code_clip(clip, codec, 4.0)
        np.testing.assert_allclose(out.mean((0, 1, 2)), colour, atol=2.5)


@pytest.mark.parametrize('codec', ['libx264', 'mpeg4'])
def test_frames_are_predicted_from_others(codec):
    """A clip at rest costs its first frame and next to nothing more."""
    still = np.repeat(draw_clip(1, 64, 96), 8, axis=0)
    encoder = module._open_encoder(codec, (64, 96), 0.5)
    first, *others = [p.size for p in module._encode(encoder, still)]
    assert len(others) == 7
    assert sum(others) < first


@pytest.mark.parametrize('codec', ['libx264', 'mpeg4'])
def test_rate_is_about_what_is_asked_for(codec):
    clip = draw_clip(48, 96, 160)
    for bits in (0.3, 1.2):
        encoder = module._open_encoder(codec, clip.shape[1:3], bits)
        size = sum(p.size for p in module._encode(encoder, clip))
        spent = 8 * size / (48 * 96 * 160)
        assert 0.4 * bits < spent < 2.5 * bits, (bits, spent)


@pytest.mark.parametrize('codec', CODECS)
def test_is_reproducible(codec):
    """This size showed how x264 with `mbtree` reads unset memory."""
    clip = draw_clip(6, 222, 395)
    first = code_clip(clip, codec, 0.56)
    for _ in range(3):
        np.testing.assert_array_equal(code_clip(clip, codec, 0.56), first)


def test_wrong_arguments():
    clip = draw_clip(1, 16, 16)
    with pytest.raises(ValueError, match=r'`codec` must be in .*, got vp9'):
        code_clip(clip, 'vp9', 1.0)
    with pytest.raises(ValueError, match='`bits_per_pixel` must be positive'):
        code_clip(clip, 'mpeg4', 0.0)
