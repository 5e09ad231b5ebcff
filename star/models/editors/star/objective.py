"""The training of STARModel: its batch, its losses, its frozen parts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from star.models.contracts import Autoencoder
from star.models.data_preprocessor import VideoDataPreprocessor
from star.models.editors.star.decode_window import DecodeWindow, decode_windows
from star.models.editors.star.random_state import ClipRandom
from star.models.restoration.options import RestoreOptions
from star.models.restoration.parts import ModelParts
from star.registry import MODELS
from star.structures import VideoSample


@dataclass(frozen=True)
class Batch:
    """The data of one training step.

    Attributes:
        z0: latents of the ground truth, (N, C, T, h, w).
        z_lq: latents of the enlarged low-quality clips, (N, C, T, h, w).
        text: embeddings of the prompts, (N, L, D).
        t: timesteps, (N,) int64.
        noise: of the shape of `z0`.
        random: of each clip.
        gt: ground truth, (N, C, T, H, W) in [-1, 1], if a loss needs it.
    """

    z0: Tensor
    z_lq: Tensor
    text: Tensor
    t: Tensor
    noise: Tensor
    random: list[ClipRandom]
    gt: Tensor | None


class TrainingObjective(Protocol):
    """Computes what a training lowers; an `nn.Module`.

    Attributes:
        on_pixels: losses on decoded pixels; empty for none.
        window: what is decoded for them.
    """

    on_pixels: nn.ModuleList
    window: DecodeWindow

    def check_options(self, options: RestoreOptions) -> None:
        """Raise a ValueError for options that it cannot train for."""

    def compute(
        self,
        parts: ModelParts,
        preprocessor: VideoDataPreprocessor,
        options: RestoreOptions,
        inputs: Tensor | None,
        samples: list[VideoSample],
    ) -> dict[str, Tensor]:
        """Compute the losses of a batch; see `Objective.compute`."""


class Objective(nn.Module):
    """The losses of STARModel, with their window and timesteps.

    Args:
        velocity: config of the loss of the velocity; None for VelocityLoss.
        frequency: config of the frequency loss on decoded pixels; None for
            none.
        perceptual: config of a second loss on decoded pixels; None for none.
        window: fields of DecodeWindow that differ from its defaults.
        t_range: first and last timestep of training; None for all.
        num_timesteps: of the noise schedule.

    Raises:
        ValueError: a value is out of range.
    """

    def __init__(
        self,
        velocity: dict | None = None,
        frequency: dict | None = None,
        perceptual: dict | None = None,
        window: dict | None = None,
        t_range: tuple[int, int] | None = None,
        num_timesteps: int = 1000,
    ) -> None:
        super().__init__()
        self.velocity = MODELS.build(velocity or {'type': 'VelocityLoss'})
        self.on_pixels = nn.ModuleList(
            MODELS.build(config)
            for config in (frequency, perceptual)
            if config
        )
        self.window = build_window(window or {})
        self.t_range = tuple(t_range or (0, num_timesteps - 1))
        _check_t_range(self.t_range, num_timesteps)

    def check_options(self, options: RestoreOptions) -> None:
        """Accept any options of the restoration: training has its own t."""

    def compute(
        self,
        parts: ModelParts,
        preprocessor: VideoDataPreprocessor,
        options: RestoreOptions,
        inputs: Tensor | None,
        samples: list[VideoSample],
    ) -> dict[str, Tensor]:
        """Compute the losses at one random timestep per clip.

        Args:
            parts: of the model.
            preprocessor: of the model.
            options: of the restoration, not used.
            inputs: as for `prepare_batch`.
            samples: as for `prepare_batch`.

        Returns:
            `loss_velocity`, the losses on pixels, and numbers to log.

        Raises:
            ValueError: a sample lacks a clip or a latent.
        """
        batch = prepare_batch(parts, self, preprocessor, inputs, samples)
        z0, noise, t = batch.z0, batch.noise, batch.t
        z_t = parts.schedule.add_noise(z0, noise, t)
        texts = (batch.text, batch.text)
        v = parts.velocity(z_t, t, texts, batch.z_lq, None)
        target = parts.schedule.velocity(z0, noise, t)
        losses = {'loss_velocity': self.velocity(v, target)}
        if self.on_pixels:
            x0 = parts.schedule.to_x0(z_t, v, t)
            assert batch.gt is not None
            losses |= compare_pixels(
                self, parts.autoencoder, x0, batch.gt, batch.random, t
            )
        return losses

    def draw_timesteps(self, random: list[ClipRandom]) -> Tensor:
        """Draw a timestep for each clip, uniformly; (N,) on the CPU."""
        first, last = self.t_range
        return torch.tensor(
            [first + r.integer(last - first + 1) for r in random]
        )


def compare_pixels(
    objective: TrainingObjective,
    autoencoder: Autoencoder,
    x0: Tensor,
    gt: Tensor,
    random: list[ClipRandom],
    t: Tensor,
) -> dict[str, Tensor]:
    """Decode a window of every clip and compare it with the original.

    Args:
        objective: with the losses and the window.
        autoencoder: may be frozen; the gradient passes through.
        x0: estimate of the clean latents, (N, C, T, h, w).
        gt: ground truth, (N, C, T, H, W) in [-1, 1].
        random: of each clip.
        t: timesteps, (N,).

    Returns:
        The losses on pixels, and numbers to log.
    """
    pred, gt = decode_windows(autoencoder, x0, gt, random, objective.window)
    found: dict[str, Tensor] = {}
    for loss in objective.on_pixels:
        found |= loss.terms(pred, gt, t)  # type: ignore[operator]
    return found


def build_objective(losses: dict, num_timesteps: int) -> TrainingObjective:
    """Build the losses of a config.

    Args:
        losses: arguments of Objective without `num_timesteps`; or the config
            of another registered objective, such as Distillation.
        num_timesteps: of the noise schedule.

    Raises:
        ValueError: a key is unknown or a value is wrong.
    """
    if 'type' in losses:
        return MODELS.build(losses)
    known = ('velocity', 'frequency', 'perceptual', 'window', 't_range')
    unknown = sorted(set(losses) - set(known))
    if unknown:
        raise ValueError(
            f'`losses` has unknown keys: {", ".join(unknown)} (known: '
            f'{", ".join(known)})'
        )
    return Objective(**losses, num_timesteps=num_timesteps)


def build_window(fields: dict) -> DecodeWindow:
    """Make a DecodeWindow of a config; `crop_size` may be one number.

    Raises:
        ValueError: a key is unknown or a value is wrong.
    """
    size = fields.get('crop_size')
    if isinstance(size, int):
        size = (size, size)
    try:
        return DecodeWindow(**{**fields, 'crop_size': size})
    except (TypeError, ValueError) as error:
        raise ValueError(f'`window` of `losses`: {error}') from error


def _check_t_range(t_range: tuple[int, ...], num_timesteps: int) -> None:
    ends = (0, *t_range, num_timesteps - 1)
    if len(t_range) != 2 or list(ends) != sorted(ends):
        raise ValueError(
            '`t_range` must be a first and a last timestep from 0 to '
            f'{num_timesteps - 1}, got {t_range}'
        )


@torch.no_grad()
def prepare_batch(
    parts: ModelParts,
    objective: Objective,
    preprocessor: VideoDataPreprocessor,
    inputs: Tensor | None,
    samples: list[VideoSample],
) -> Batch:
    """Encode clips and prompts unless they are cached; draw t and noise.

    Args:
        parts: encode clips and prompts.
        objective: draws the timesteps.
        preprocessor: stacks the ground truth.
        inputs: enlarged low-quality clips, (N, C, T, H, W) in [-1, 1];
            unused where latents are cached.
        samples: one per clip.

    Raises:
        ValueError: a needed clip is missing.
    """
    device = parts.schedule.alpha.device
    random = [ClipRandom(s.seed, device) for s in samples]
    z0, z_lq = (stack_cached(samples, name, device) for name in ('z0', 'z_lq'))
    cached = z0 is not None and z_lq is not None
    gt = None
    if not cached or objective.on_pixels:
        _check_clips(inputs, samples, cached)
        gt = preprocessor.stack(samples, 'gt')
    if z0 is None or z_lq is None:
        assert gt is not None and inputs is not None
        posterior = [r.posterior for r in random]
        z0, z_lq = (
            parts.autoencoder.encode(x, posterior) for x in (gt, inputs)
        )
    text = stack_cached(samples, 'text', device)
    if text is None:
        text = parts.text_encoder([s.prompt for s in samples])
    t = objective.draw_timesteps(random).to(device, non_blocking=True)
    noise = torch.stack([r.noise(z0.shape[1:]) for r in random])
    return Batch(z0, z_lq, text, t, noise, random, gt)


def stack_cached(
    samples: list[VideoSample], name: str, device: torch.device
) -> Tensor | None:
    """Stack a cached field as float32; None if not every sample has it.

    Args:
        samples: one per clip.
        name: of a field with a tensor, such as 'z_lq'.
        device: where to.
    """
    values = [getattr(sample, name) for sample in samples]
    if any(value is None for value in values):
        return None
    return torch.stack(values).to(device, torch.float32)


def _check_clips(
    inputs: Tensor | None, samples: list[VideoSample], cached: bool
) -> None:
    without = [s.name for s in samples if s.gt is None]
    if without:
        needed = 'losses on pixels need' if cached else 'training needs'
        raise ValueError(
            f'{needed} the ground truth `gt` of every clip, {without[0]!r} '
            'has none'
        )
    if inputs is None and not cached:
        raise ValueError(
            'clips without `inputs` need cached latents, both `z0` and '
            f'`z_lq`; {samples[0].name!r} or another one lacks them'
        )


def freeze(model: nn.Module, frozen: Mapping[str, Sequence[str]]) -> None:
    """Switch off the gradients of parts, except for some modules in them.

    Args:
        model: whose parts.
        frozen: names of parts, each with the classes of its modules that
            learn nevertheless, such as 'LIEM', in upper or lower case.

    Raises:
        ValueError: there is no such part, or no such module in it.
    """
    if not isinstance(frozen, Mapping):
        raise ValueError(
            '`frozen` must map names of parts to classes of modules that '
            f'learn, got {frozen!r}'
        )
    for name, kinds in frozen.items():
        try:
            part = model.get_submodule(name)
        except AttributeError as error:
            raise ValueError(
                f'`frozen` must name parts of the model, got {name!r}'
            ) from error
        part.requires_grad_(False)
        missing = {kind.lower() for kind in kinds}
        for module in trained_modules(model, {name: kinds}):
            module.requires_grad_(True)
            missing.discard(type(module).__name__.lower())
        if missing:
            raise ValueError(
                f'`frozen` must name classes of modules in {name!r}, found '
                f'none of: {", ".join(sorted(missing))}'
            )


def trained_modules(
    model: nn.Module, frozen: Mapping[str, Sequence[str]]
) -> Iterator[nn.Module]:
    """Find the modules in frozen parts that learn nevertheless.

    Args:
        model: whose parts.
        frozen: as for `freeze`.
    """
    for name, kinds in frozen.items():
        wanted = {kind.lower() for kind in kinds}
        for module in model.get_submodule(name).modules():
            if type(module).__name__.lower() in wanted:
                yield module
