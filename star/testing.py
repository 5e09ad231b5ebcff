"""Checks of the contracts, for parts from inside and outside the package.

Each raises an AssertionError that names the broken rule. They run on the CPU
in seconds, on parts of a small size.
"""

import json
import math
from collections.abc import Callable
from dataclasses import fields, replace

import torch
from torch import Tensor, nn

from star.evaluation import VideoMetric
from star.models.contracts import (
    Autoencoder,
    Backbone,
    ControlNet,
    Restorer,
)
from star.models.restoration.choose import choose_options
from star.models.restoration.limits import Limits
from star.models.restoration.options import RestoreOptions

_TOLERANCE = 1e-4  # of what must be equal but for the order of sums


def check_backbone(
    backbone: Backbone,
    controlnet: ControlNet,
    latent_channels: int = 4,
    text_dim: int = 8,
    num_frames: int = 3,
) -> None:
    """Check a backbone together with its ControlNet.

    Sizes, shapes, dtype, determinism, independence of the clips of a batch,
    `project_text`, the gradient of every parameter, and the refusal of a
    size that its own rule excludes.

    Args:
        backbone: with weights; switched to evaluation mode.
        controlnet: that makes its control.
        latent_channels: channels of the latents.
        text_dim: D of the embeddings.
        num_frames: of the latents of a clip.

    Raises:
        AssertionError: naming the rule.
    """
    _evaluate(backbone, controlnet)
    limits = getattr(backbone, 'limits', None)
    _rule(isinstance(limits, Limits), 'a backbone has `limits`, a Limits')
    multiple, remainder = backbone.size_multiple, backbone.size_remainder
    for name, pair in (('multiple', multiple), ('remainder', remainder)):
        whole = isinstance(pair, tuple) and len(pair) == 2
        whole = whole and all(isinstance(n, int) for n in pair)
        _rule(whole, f'`size_{name}` is two whole numbers, got {pair}')

    def latents(factor: int, clips: int = 2) -> tuple[Tensor, ...]:
        sides = [
            factor * m + r for m, r in zip(multiple, remainder, strict=True)
        ]
        shape = (clips, latent_channels, num_frames, *sides)
        z_t, z_lq = _noise(shape, 1), _noise(shape, 2)
        return z_t, z_lq, torch.arange(clips) * 400 + 3

    text = _noise((2, 3, text_dim), 3)

    def predict(z_t: Tensor, z_lq: Tensor, t: Tensor, text: Tensor) -> Tensor:
        control = controlnet(z_t, t, text, z_lq)
        return backbone(z_t, t, text, control)

    for factor in (2, 4):
        z_t, z_lq, t = latents(factor)
        v = predict(z_t, z_lq, t, text)
        _rule(v.shape == z_t.shape, f'v has the shape of z_t, got {v.shape}')
        _rule(v.dtype == z_t.dtype, f'v has the dtype of z_t, got {v.dtype}')
        _rule(bool(v.isfinite().all()), 'v is finite')
        same = torch.equal(v, predict(z_t, z_lq, t, text))
        _rule(same, 'the same inputs give the same v')
    alone = predict(z_t[1:], z_lq[1:], t[1:], text[1:])
    _rule(_close(alone, v[1:]), 'the clips of a batch do not mix')
    control = controlnet(z_t, t, controlnet.project_text(text), z_lq)
    projected = backbone(z_t, t, backbone.project_text(text), control)
    _rule(_close(projected, v), '`project_text` does not change v')
    _check_gradients(v, backbone, controlnet)
    if max(multiple) > 1:
        wide = torch.cat([z_t, z_t[..., :1]], -1)
        wrong = (wide, torch.zeros_like(wide), t, text)
        _refuses(lambda: predict(*wrong), 'a size off `size_multiple`')


def check_autoencoder(autoencoder: Autoencoder) -> None:
    """Check an autoencoder.

    Attributes, shapes of both ways at two sizes, determinism, that the pieces
    of a clip are the clip, the gradient of the latents, and the refusal of a
    size that is no multiple of `downsample`.

    Args:
        autoencoder: with weights; switched to evaluation mode.

    Raises:
        AssertionError: naming the rule.
    """
    _evaluate(autoencoder)
    side, ratio = autoencoder.downsample, autoencoder.temporal_downsample
    channels = autoencoder.latent_channels
    for name, value in (
        ('downsample', side),
        ('temporal_downsample', ratio),
        ('latent_channels', channels),
    ):
        whole = isinstance(value, int) and value >= 1
        _rule(whole, f'`{name}` is a whole number of at least 1, got {value}')
    for rows, columns, length in ((2, 3, 2), (4, 2, 1)):
        frames = length * ratio + 1
        x = _noise((2, 3, frames, rows * side, columns * side), 1).tanh()
        z = autoencoder.encode(x, torch.Generator().manual_seed(0))
        shape = (2, channels, length + 1, rows, columns)
        if ratio == 1:
            shape = (2, channels, frames, rows, columns)
        _rule(z.shape == shape, f'latents are {shape}, got {tuple(z.shape)}')
        again = autoencoder.encode(x, torch.Generator().manual_seed(0))
        _rule(torch.equal(z, again), 'the same generator gives the same z')
        decoded = autoencoder.decode(z)
        _rule(
            decoded.shape == x.shape,
            f'a decoded clip is {tuple(x.shape)}, got {tuple(decoded.shape)}',
        )
        pieces = torch.cat(list(autoencoder.decode_pieces(z)), 2)
        _rule(_close(pieces, decoded), 'the pieces of a clip are the clip')
    z = z.detach().requires_grad_()
    autoencoder.decode(z).square().mean().backward()
    reached = z.grad is not None and bool(z.grad.any())
    _rule(reached, 'the gradient reaches the latents')
    if side > 1:
        odd = torch.zeros(1, 3, 1, side, side + 1)
        _refuses(lambda: autoencoder.encode(odd), 'a size off `downsample`')


def check_restorer(
    restorer: Restorer, num_frames: int = 5, size: tuple[int, int] = (18, 22)
) -> None:
    """Check a method: STARModel, a baseline, or one from outside.

    Shapes, dtype, the number of frames, determinism, that the input stays as
    it was, that the pieces of a stream are the clip, progress, frames of 16
    bits if it takes them, and the refusal of wrong clips and of options that
    do not exist.

    Args:
        restorer: with weights.
        num_frames: of the clip.
        size: height and width of the clip.

    Raises:
        AssertionError: naming the rule.
    """
    known = {field.name for field in fields(RestoreOptions)}
    strange = set(restorer.options_used) - known
    _rule(not strange, f'`options_used` has no unknown names, got {strange}')
    _rule('scale' in restorer.options_used, '`options_used` has the scale')
    scale = restorer.restore_options.scale
    height, width = (round(side * scale) for side in size)
    lq = _pixels((num_frames, 3, *size))
    for clip in (lq, lq[:1]):
        copy, events = clip.clone(), _Recorder()
        out = restorer.restore(clip, events=events)
        shape = (len(clip), 3, height, width)
        _rule(out.shape == shape, f'a result is {shape}, got {out.shape}')
        _rule(out.dtype == torch.uint8, f'a result is uint8, got {out.dtype}')
        _rule(out.device.type == 'cpu', 'a result is on the CPU')
        _rule(torch.equal(clip, copy), 'the input stays as it was')
        same = torch.equal(out, restorer.restore(clip))
        _rule(same, 'the same clip gives the same result')
        _rule(
            events.last == len(clip),
            f'progress ends at {len(clip)} frames, got {events.last}',
        )
        pieces = list(restorer.restore_stream(iter(clip)))
        joined = torch.cat(pieces)
        _rule(torch.equal(joined, out), 'the pieces of a clip are the clip')
    _refuses(lambda: restorer.restore(lq.float()), 'a clip of floats')
    _refuses(lambda: restorer.restore(lq[0]), 'a frame in place of a clip')
    _refuses(lambda: restorer.restore(lq[:0]), 'a clip without frames')
    _check_16_bit(restorer, lq)
    _refuses(
        lambda: choose_options(restorer, {'no_such_option': 1}),
        'an unknown option',
    )
    json.dumps(restorer.describe_options(restorer.restore_options))
    _check_resuming(restorer, lq)


def _check_16_bit(restorer: Restorer, lq: Tensor) -> None:
    deep = (lq.int() * 257).to(torch.uint16)
    if not getattr(restorer, 'takes_16_bit', False):
        _refuses(lambda: restorer.restore(deep), 'a clip of 16 bits')
        return
    out = restorer.restore(deep)
    is_deep = out.dtype == torch.uint16
    _rule(is_deep, f'a result of uint16 is uint16, got {out.dtype}')
    error = (out.float() / 257 - restorer.restore(lq).float()).abs().max()
    _rule(bool(error <= 1), f'8 and 16 bits agree, got {error:.3g} of 255')


def _check_resuming(restorer: Restorer, lq: Tensor) -> None:
    """Check that a run from each point gives what one run gives.

    A method without `restore_pieces` begins each scene anew.
    """
    if not hasattr(restorer, 'restore_pieces'):
        return
    options = _smallest_window(restorer)
    least = options.window + options.window // 2 + 1
    lq = torch.cat([lq] * -(-least // len(lq)))
    whole = restorer.restore(lq, options)
    for piece in restorer.restore_pieces(iter(lq), options):
        if piece.point is None:
            continue
        point = piece.point()
        rest = restorer.restore_pieces(
            iter(lq[point.frame :]), options, point=point
        )
        frames = torch.cat([later.frames for later in rest])
        _rule(
            torch.equal(frames, whole[point.done :]),
            f'a run from the point after frame {point.done} gives the same',
        )


def _smallest_window(restorer: Restorer) -> RestoreOptions:
    """Choose options with the smallest window that a method accepts."""
    own = restorer.restore_options
    for window in range(1, own.window):
        try:
            overlap = restorer.overlap_for(window)
            options = replace(own, window=window, overlap=overlap)
            restorer.check_options(options)
        except ValueError:
            continue
        return options
    return own


def check_metric(
    metric: VideoMetric, shape: tuple[int, int, int] = (3, 64, 64)
) -> None:
    """Check a metric.

    A finite score, determinism, parts and their frames, a worse score for a
    worse clip where there is a ground truth, a description that JSON can
    hold, and the refusal of wrong clips.

    Args:
        metric: with weights.
        shape: frames, height and width of the clips; larger for networks
            that need it.

    Raises:
        AssertionError: naming the rule.
    """
    frames, height, width = shape
    gt = _pixels((frames, 3, height, width))
    near, far = (_disturb(gt, amount) for amount in (2, 60))
    found = metric.measure(near, gt)
    _rule(not math.isnan(found.score), 'a clip has a score')
    same = metric.measure(near, gt).score == found.score
    _rule(same, 'the same clips give the same score')
    _rule(
        len(found.parts) == len(found.frames),
        'every part belongs to a frame',
    )
    _rule(
        all(0 <= i < frames for i in found.frames),
        f'frames lie in the clip, got {found.frames}',
    )
    if metric.needs_gt:
        worse = metric.measure(far, gt).score
        better = found.score > worse
        _rule(
            better == metric.higher_is_better,
            f'`higher_is_better` is {metric.higher_is_better}, but a bad clip '
            f'has {worse:.4g} and a good one {found.score:.4g}',
        )
        small = gt[..., :-1]
        _refuses(lambda: metric.measure(near, small), 'clips of two sizes')
        _refuses(lambda: metric.measure(near), 'a missing ground truth')
    _refuses(lambda: metric.measure(near.float(), gt), 'a clip of floats')
    described = metric.describe()
    _rule(described['name'] == metric.name, 'the description has the name')
    json.dumps(described)


class _Recorder:
    """Keeps how many frames the last event reported."""

    def __init__(self) -> None:
        self.last = 0

    def progress(self, stage: str, done: int, total: int | None) -> None:
        """Keep the number of frames that a stage has done."""
        _rule(
            stage in ('encode', 'denoise', 'decode'),
            f'a stage is encode, denoise or decode, got {stage!r}',
        )
        self.last = done

    def note(self, text: str) -> None:
        """Accept a note."""
        _rule(bool(text), 'a note has a text')


def _rule(holds: bool, rule: str) -> None:
    if not holds:
        raise AssertionError(f'broken rule: {rule}')


def _refuses(work: Callable[[], object], what: str) -> None:
    """Check that work raises a ValueError of one line."""
    try:
        work()
    except ValueError as error:
        lines = str(error).strip().splitlines()
        _rule(len(lines) == 1, f'{what} is refused in one line, got {error}')
        return
    except Exception as error:
        kind = type(error).__name__
        raise AssertionError(
            f'broken rule: {what} is refused with a ValueError, got {kind}'
        ) from error
    raise AssertionError(f'broken rule: {what} is refused with a ValueError')


def _check_gradients(v: Tensor, *networks: object) -> None:
    _rule(v.requires_grad, 'the gradient reaches the parameters')
    v.square().mean().backward()
    for network in networks:
        assert isinstance(network, nn.Module)
        for name, parameter in network.named_parameters():
            if parameter.requires_grad:
                _rule(
                    parameter.grad is not None,
                    f'the gradient reaches every parameter, not {name}',
                )


def _evaluate(*modules: object) -> None:
    for module in modules:
        _rule(isinstance(module, nn.Module), 'a part is an nn.Module')
        assert isinstance(module, nn.Module)
        module.eval().zero_grad()


def _close(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.allclose(
        a, b, rtol=_TOLERANCE, atol=_TOLERANCE
    )


def _noise(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _pixels(shape: tuple[int, ...]) -> Tensor:
    """Make a clip with structure: waves and a little noise, uint8."""
    frames, _, height, width = shape
    rows = torch.arange(height)[:, None] / 5
    columns = torch.arange(width) / 7
    times = torch.arange(frames)[:, None, None, None] / 3
    waves = (rows + times).sin() + (columns - times).cos()
    noise = _noise(shape, 4)
    return (128 + 45 * waves + 6 * noise).clamp(0, 255).to(torch.uint8)


def _disturb(clip: Tensor, amount: float) -> Tensor:
    noisy = clip + amount * _noise(tuple(clip.shape), 5)
    return noisy.clamp(0, 255).to(torch.uint8)
