"""STARModel: a diffusion model composed of exchangeable parts."""

from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor

from star.diffusion.precondition import check_std, lq_velocity
from star.models.contracts import (
    Autoencoder,
    Backbone,
    ControlNet,
    Events,
    NoiseSchedule,
    Text,
    TextEncoder,
)
from star.models.editors.star.objective import (
    TrainingObjective,
    build_objective,
    freeze,
    trained_modules,
)
from star.models.layers import memory_format
from star.models.layers.step_memory import StepMemory, keep_features
from star.models.restoration.choose import check_fit, check_model_options
from star.models.restoration.local_strategy import is_local, plan_for
from star.models.restoration.options import (
    CUTS,
    RestoreOptions,
    build_options,
    decisive,
    fit_overlap,
)
from star.models.restoration.parts import ModelParts
from star.models.restoration.restoration import Restoration
from star.models.restoration.resuming import Piece, ResumePoint
from star.models.restoration.sharing import RestorationHelper
from star.models.restoration.whole_clip import restore_whole
from star.registry import MODELS
from star.structures import VideoSample
from star.utils.distributed import Team
from star.utils.state_dicts import load_strict
from star.utils.tensor_files import read_state


@MODELS.register_module()
class STARModel(BaseModel):
    """Restores low-quality clips with a text-to-video diffusion prior.

    Args:
        autoencoder: config of the autoencoder, e.g. TemporalVAE.
        text_encoder: config of the text encoder.
        backbone: config of the denoiser, e.g. I2VGenUNet.
        controlnet: config of the conditioner, e.g. UNetControlNet.
        schedule: config of the noise schedule.
        losses: arguments of `Objective`: configs of the training losses
            `velocity`, `frequency` and `perceptual`, with `window` and
            `t_range`; or the config of another objective.
        restore_options: fields of RestoreOptions that differ from its
            defaults for this model.
        residual_std: deviation of z0 - z_lq in each channel of the latent.
            If given, the networks predict only the error of `lq_velocity`, in
            units of its deviation, so that small networks need not learn to
            copy their input. None as in the paper.
        frozen: parts that training does not change, each with the classes
            of its modules that learn nevertheless, such as
            `dict(text_encoder=(), backbone=('LIEM',))`; None for autoencoder
            and text encoder.
        data_preprocessor: config of the data preprocessor.

    Raises:
        ValueError: a misspelt key in `losses`, `restore_options` or
            `frozen`, a wrong value in `losses` or `restore_options`, or
            `residual_std` is not one positive number per channel.
    """

    autoencoder: Autoencoder
    text_encoder: TextEncoder
    backbone: Backbone
    controlnet: ControlNet
    schedule: NoiseSchedule
    objective: TrainingObjective
    default_dtype: torch.dtype | None = None
    names_files = False
    takes_16_bit = True
    shares_work = True
    team: Team | None = None  # processes that share a restoration

    def __init__(
        self,
        autoencoder: dict,
        text_encoder: dict,
        backbone: dict,
        controlnet: dict,
        schedule: dict,
        losses: dict | None = None,
        restore_options: dict | None = None,
        residual_std: list[float] | None = None,
        frozen: dict | None = None,
        data_preprocessor: dict | None = None,
    ) -> None:
        preprocessor = data_preprocessor or {'type': 'VideoDataPreprocessor'}
        super().__init__(MODELS.build(preprocessor))
        self.autoencoder = MODELS.build(autoencoder)
        self.text_encoder = MODELS.build(text_encoder)
        self.backbone = MODELS.build(backbone)
        self.controlnet = MODELS.build(controlnet)
        self.schedule = MODELS.build(schedule)
        self.objective = build_objective(
            losses or {}, self.schedule.num_timesteps
        )
        self.restore_options = build_options(restore_options or {})
        self.check_options(self.restore_options)
        self.objective.check_options(self.restore_options)
        self.residual_std = residual_std
        check_std(residual_std, self.autoencoder.latent_channels)
        if frozen is None:
            frozen = {'autoencoder': (), 'text_encoder': ()}
        self.frozen = frozen
        freeze(self, frozen)

    @property
    def parts(self) -> ModelParts:
        """The parts that training and restoration work with."""
        return ModelParts(
            self.autoencoder,
            self.text_encoder,
            self.backbone,
            self.controlnet,
            self.schedule,
            self.velocity,
            self.complete,
        )

    @property
    def weight_files(self) -> tuple[str | None, ...]:
        """No files: a config's `weights` names those of the parts."""
        return ()

    @property
    def options_used(self) -> frozenset[str]:
        """Names of the options that matter to it: nearly all."""
        known = {field.name for field in fields(RestoreOptions)}
        keeps = keep_features(self.controlnet, self.backbone)
        return frozenset(known if keeps else known - {'cache'})

    def train(self, mode: bool = True) -> 'STARModel':
        """Switch to training mode; frozen parts stay in evaluation mode."""
        super().train(mode)
        for name in self.frozen:
            self.get_submodule(name).eval()
        for module in trained_modules(self, self.frozen):
            module.train(mode)
        return self

    def forward(
        self,
        inputs: Tensor | list[Tensor] | None,
        data_samples: list[VideoSample],
        mode: str = 'predict',
    ) -> dict[str, Tensor] | list[VideoSample]:
        """Compute the losses in mode 'loss', restore in mode 'predict'.

        Args:
            inputs: output of the data preprocessor in training ('loss') or
                in testing ('predict').
            data_samples: one per clip.
            mode: 'loss' or 'predict'.

        Raises:
            ValueError: another `mode`.
        """
        if mode == 'loss':
            assert inputs is None or isinstance(inputs, Tensor)
            return self.loss(inputs, data_samples)
        if mode == 'predict':
            assert inputs is not None
            return self.predict(list(inputs), data_samples)
        raise ValueError(f"`mode` must be 'loss' or 'predict', got {mode!r}")

    def loss(
        self, inputs: Tensor | None, data_samples: list[VideoSample]
    ) -> dict[str, Tensor]:
        """Compute the losses of the objective.

        Args:
            inputs: low-quality clips at the size of the ground truth,
                (N, C, T, H, W) in [-1, 1]; unused where latents are cached.
            data_samples: with `gt` and `prompt`, or with `z0`, `z_lq` and
                `text`; losses on pixels need `gt` in any case.

        Returns:
            The losses of the config, and numbers to log.

        Raises:
            ValueError: a sample lacks a clip or a latent.
        """
        return self.objective.compute(
            self.parts,
            self.data_preprocessor,
            self.restore_options,
            inputs,
            data_samples,
        )

    def velocity(
        self,
        z_t: Tensor,
        t: Tensor,
        texts: tuple[Text, Text],
        z_lq: Tensor,
        memory: StepMemory | None = None,
    ) -> Tensor:
        """Predict the velocity of noised latents.

        Args:
            z_t: noised latents, (N, C, T, h, w).
            t: timesteps, (N,) int64.
            texts: for the ControlNet and for the backbone, embeddings or
                results of their `project_text`.
            z_lq: low-quality latents, of the shape of `z_t`.
            memory: of earlier steps, for networks that can use it.

        Returns:
            The velocity, of the shape of `z_t`.
        """
        networks: tuple[Any, Any] = self.controlnet, self.backbone
        used = () if memory is None else (memory,)
        control = networks[0](z_t, t, texts[0], z_lq, *used)
        v = networks[1](z_t, t, texts[1], control, *used)
        return self.complete(v, z_t, t, z_lq)

    def complete(
        self, v: Tensor, z_t: Tensor, t: Tensor, z_lq: Tensor
    ) -> Tensor:
        """Make the velocity of what the networks say of it."""
        if self.residual_std is None:
            return v
        alpha, sigma = (
            levels[t].view(-1, 1, 1, 1, 1)
            for levels in (self.schedule.alpha, self.schedule.sigma)
        )
        std = alpha.new_tensor(self.residual_std).view(-1, 1, 1, 1)
        base, scale = lq_velocity(z_t, z_lq, std, alpha, sigma)
        return base + scale * v

    def predict(
        self, inputs: list[Tensor], data_samples: list[VideoSample]
    ) -> list[VideoSample]:
        """Restore clips with the model's options, their scale and prompts.

        Args:
            inputs: low-quality clips, each (T, C, h, w) uint8 RGB.
            data_samples: one per clip.

        Returns:
            The samples with `pred` set, (T, 3, H, W) uint8.
        """
        for lq, sample in zip(inputs, data_samples, strict=True):
            options = self.restore_options
            if sample.scale is not None:
                options = replace(options, scale=sample.scale)
            if sample.prompt:
                options = replace(options, prompt=sample.prompt)
            sample.pred = self.restore(lq, options)
        return data_samples

    def check_options(self, options: RestoreOptions) -> None:
        """Refuse options that this model cannot restore with.

        Raises:
            ValueError: naming the option, the rule and the value.
        """
        limits = self.backbone.limits
        check_fit(options, self.autoencoder, self.schedule, limits)
        keeps = keep_features(self.controlnet, self.backbone)
        check_model_options(options, keeps)

    def overlap_for(self, window: int) -> int:
        """Choose the overlap of windows of `window` frames."""
        own, ratio = self.restore_options, self.autoencoder.temporal_downsample
        return fit_overlap(own.overlap, window, ratio)

    def describe_options(self, options: RestoreOptions) -> dict[str, Any]:
        """Return the options that decide the result, to be written as JSON."""
        cuts = CUTS if self.is_exact(options) else {'memory'}
        known = {field.name for field in fields(RestoreOptions)}
        return decisive(options, known - cuts)

    def is_exact(self, options: RestoreOptions) -> bool:
        """Return whether a clip can be cut in any way with one result."""
        return is_local(self.parts, options)

    def window_memory(
        self, options: RestoreOptions, clip: tuple[int | None, int, int]
    ) -> tuple[int, bool] | None:
        """Return a clip's bytes, and whether they are freed before coding;
        None where no formula knows. Arguments are those of `plan_for`.
        """
        plan = plan_for(self.parts, options, clip)
        return None if plan is None else (plan.memory, plan.in_turn)

    def scratch_bytes(
        self, options: RestoreOptions, clip: tuple[int | None, int, int]
    ) -> int:
        """Return the bytes of files meanwhile; see `window_memory`."""
        plan = plan_for(self.parts, options, clip)
        return 0 if plan is None else plan.scratch

    def load_weights(self, *paths: str | Path) -> None:
        """Load files that hold all tensors of the model together."""
        state: dict[str, Tensor] = {}
        for path in paths:
            state |= read_state(path)
        load_strict(self, state, ', '.join(str(path) for path in paths))

    @property
    def bfloat16_on_cpu(self) -> bool:
        """The backbone says so: half of its time, and nothing is lost."""
        return getattr(self.backbone, 'bfloat16_on_cpu', False)

    def place(self, device: torch.device, dtype: torch.dtype) -> None:
        """Move to a device; text encoder and schedule stay float32.

        Args:
            device: where to.
            dtype: of the weights of backbone, ControlNet and autoencoder.
        """
        for name in ('backbone', 'controlnet'):
            network = self.get_submodule(name).to(device, dtype)
            memory_format.use_channels_last(network)
        self.get_submodule('autoencoder').to(dtype)
        memory_format.align_weights(self.to(device))

    def restore(
        self,
        lq: Tensor,
        options: RestoreOptions | None = None,
        events: Events | None = None,
    ) -> Tensor:
        """Restore a clip (T, 3, h, w); see `restore_whole`."""
        return restore_whole(self, lq, options, events)

    def restore_stream(
        self,
        frames: Iterable[Tensor],
        options: RestoreOptions | None = None,
        events: Events | None = None,
    ) -> Iterator[Tensor]:
        """Restore frames as they come; see `restore_pieces`.

        Yields:
            Consecutive pieces of the restored clip, (t, 3, H, W), of the type
            of the frames.
        """
        pieces = self.restore_pieces(frames, options, events)
        return (piece.frames for piece in pieces)

    def restore_pieces(
        self,
        frames: Iterable[Tensor],
        options: RestoreOptions | None = None,
        events: Events | None = None,
        point: ResumePoint | None = None,
    ) -> Iterator[Piece]:
        """Restore frames as they come, in memory that does not grow.

        Args:
            frames: (3, h, w) uint8 or uint16 RGB each, all of one size.
            options: None for `restore_options`.
            events: receives progress and notes.
            point: where an earlier run stopped; `frames` begins there.

        Yields:
            Consecutive pieces of the restored clip.

        Raises:
            ValueError: an option or a frame's shape is wrong.
        """
        options = options or self.restore_options
        restoration = Restoration(self.parts, options, events, team=self.team)
        return self._evaluate(restoration.run(iter(frames), point))

    def make_helper(self) -> RestorationHelper:
        """Make what restores for the leader of several processes."""
        return RestorationHelper(self.eval().parts)

    def _evaluate(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Yield pieces, in evaluation mode until the last is there."""
        training = self.training
        self.eval()
        try:
            yield from pieces
        finally:
            self.train(training)
