"""The losses of a student of STAR, which restores in few steps."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from star.models.data_preprocessor import VideoDataPreprocessor
from star.models.editors.star.objective import build_window, compare_pixels
from star.models.editors.star_onestep.own_states import own_states
from star.models.editors.star_onestep.student_batch import (
    StudentBatch,
    student_batch,
)
from star.models.losses.adversarial_loss import Condition
from star.models.restoration.options import RestoreOptions
from star.models.restoration.parts import ModelParts
from star.registry import MODELS
from star.structures import VideoSample
from star.utils.checks import check_share
from star.utils.origins import allow_random


@dataclass(frozen=True)
class TrainedStates:
    """The states at which the student is trained in one step.

    Attributes:
        x_t: noised latents, (N, C, T, h, w).
        t: timesteps, (N,) int64.
        teacher_v: the teacher's velocity where a clip is on its path, like
            `x_t`; zeros for the others.
        on_path: 1 for clips at a state of the teacher, 0 for those at a state
            of the student's own sampler, (N,) float32.
    """

    x_t: Tensor
    t: Tensor
    teacher_v: Tensor
    on_path: Tensor


@MODELS.register_module()
class Distillation(nn.Module):
    """The losses of a STARModel that learns to restore in few steps.

    It is the `losses` of a STARModel, the student. The steps are those of its
    `restore_options`: the timesteps of `strength` and `steps`, with the
    noise of `noise`, and no guidance. Each clip is trained at one of them,
    at the state that the student's own sampler reaches without a gradient;
    or, by `path_share`, at a state that the teacher met. From both the
    student is to reach the teacher's result in one evaluation.

    Args:
        latent: config of a LatentLoss for clips at their own states; None
            for none.
        path: config of a TeacherPathLoss for clips at the teacher's states;
            None for none.
        path_share: share of the clips that are at a state of the teacher,
            [0, 1].
        pixels: configs of losses on decoded pixels, with `terms`.
        window: fields of DecodeWindow that differ from its defaults.
        adversarial: config of an AdversarialLoss; None for none. It is beside
            the others: alone it does not say what to restore.
        real: latents that the adversarial loss takes for real, those of the
            'teacher' or of the ground truth, 'gt'.

    Raises:
        ValueError: there is no loss, or an argument is out of range.

    Source: the two stages, latents and then pixels, are those of DOVE, arXiv
    2505.16239.
    """

    def __init__(
        self,
        latent: dict | None = None,
        path: dict | None = None,
        path_share: float = 0.0,
        pixels: Sequence[dict] = (),
        window: dict | None = None,
        adversarial: dict | None = None,
        real: str = 'teacher',
    ) -> None:
        super().__init__()
        check_share('path_share', path_share)
        if (path is not None) != (path_share > 0):
            raise ValueError(
                '`path` and a `path_share` above 0 belong together, got '
                f'{path} and {path_share}'
            )
        if latent is None and path is None and not pixels:
            raise ValueError(
                '`losses` of a Distillation must have `latent`, `path` or '
                '`pixels`, got none'
            )
        if real not in ('teacher', 'gt'):
            raise ValueError(f"`real` must be 'teacher' or 'gt', got {real!r}")
        self.latent = None if latent is None else MODELS.build(latent)
        self.path = None if path is None else MODELS.build(path)
        self.path_share = path_share
        self.on_pixels = nn.ModuleList(map(MODELS.build, pixels))
        self.window = build_window(window or {})
        self.real = real
        self.adversarial = None
        if adversarial is not None:
            # its heads begin with random numbers, in whatever is restored
            self.adversarial = MODELS.build(adversarial)
            allow_random(self.adversarial)

    def check_options(self, options: RestoreOptions) -> None:
        """Refuse options of a restoration that this does not train for.

        Raises:
            ValueError: naming the option, the rule and the value.
        """
        wanted = {'sampler': 'ddim', 'guidance_scale': 1, 'compat': 'none'}
        wanted |= {'guidance_exponent': 0}
        for name, value in wanted.items():
            if getattr(options, name) != value:
                raise ValueError(
                    f'`restore_options.{name}` of a distilled model must be '
                    f'{value!r}, got {getattr(options, name)!r}'
                )

    def compute(
        self,
        parts: ModelParts,
        preprocessor: VideoDataPreprocessor,
        options: RestoreOptions,
        inputs: Tensor | None,
        samples: list[VideoSample],
    ) -> dict[str, Tensor]:
        """Compute the losses of a batch.

        Args:
            parts: of the student.
            preprocessor: of the student.
            options: with which the student restores.
            inputs: unused: latents are cached.
            samples: with `z0`, `z_lq`, `text` and `teacher`; with `gt` for
                losses on pixels.

        Returns:
            The losses of the config, and numbers to log.

        Raises:
            ValueError: a sample lacks something.
        """
        pixels = len(self.on_pixels) > 0
        batch = student_batch(parts, preprocessor, options, samples, pixels)
        task = self.choose(parts, options, batch)
        texts = (batch.text, batch.text)
        v = parts.velocity(task.x_t, task.t, texts, batch.z_lq, None).float()
        x0 = parts.schedule.to_x0(task.x_t, v, task.t)
        losses = self._compare_latents(batch, task, v, x0)
        if self.adversarial is not None:
            losses |= self._judge(parts, batch, x0)
        if pixels:
            assert batch.gt is not None
            losses |= compare_pixels(
                self, parts.autoencoder, x0, batch.gt, batch.random, task.t
            )
        return losses

    @torch.no_grad()
    def choose(
        self, parts: ModelParts, options: RestoreOptions, batch: StudentBatch
    ) -> TrainedStates:
        """Choose for each clip where the student is trained.

        All clips go through all of the student's steps, so that every rank
        calls the networks as often.

        Args:
            parts: of the student.
            options: with which the student restores.
            batch: of the step.
        """
        timesteps = parts.schedule.list_timesteps(
            options.mode, options.steps, options.strength
        )
        states = own_states(
            parts, timesteps, batch.start, batch.z_lq, batch.text
        )
        x_t, t, v, on_path = [], [], [], []
        for i, (random, path) in enumerate(
            zip(batch.random, batch.paths, strict=True)
        ):
            step = random.integer(len(timesteps))
            there = random.integer(2**20) < self.path_share * 2**20
            k = random.integer(len(path.t))
            own = states[step][i]
            x_t.append(path.x_t[k].to(own) if there else own)
            t.append(path.t[k] if there else round(timesteps[step]))
            v.append(path.v[k].to(own) if there else torch.zeros_like(own))
            on_path.append(float(there))
        device = batch.z_lq.device
        return TrainedStates(
            torch.stack(x_t),
            torch.tensor(t).to(device, non_blocking=True),
            torch.stack(v),
            torch.tensor(on_path).to(device, non_blocking=True),
        )

    def _compare_latents(
        self, batch: StudentBatch, task: TrainedStates, v: Tensor, x0: Tensor
    ) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = {}
        end = batch.ends
        counts = task.on_path
        if self.latent is not None:
            losses |= self.latent.terms(x0, end, batch.z0, 1 - counts)
        if self.path is not None:
            losses |= self.path.terms(v, task.teacher_v, x0, end, counts)
        return losses

    def _judge(
        self, parts: ModelParts, batch: StudentBatch, x0: Tensor
    ) -> dict[str, Tensor]:
        """Compare with latents that are taken for real, by a discriminator."""
        assert self.adversarial is not None
        real = batch.ends if self.real == 'teacher' else batch.z0
        condition = Condition(batch.text, batch.z_lq)
        return self.adversarial.terms(
            x0, real, condition, parts.schedule, batch.random
        )
