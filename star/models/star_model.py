"""STARModel: wires autoencoder, text encoder, ControlNet and backbone."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import torch
from mmengine.model import BaseModel
from torch import Tensor

from star.models.restoration import Restoration
from star.registry import MODELS
from star.structures import RestoreOptions, VideoSample

Progress = Callable[[str, int, int | None], None]


@MODELS.register_module()
class STARModel(BaseModel):
    """Restores low-quality clips with a text-to-video diffusion prior.

    Args:
        autoencoder: config of the autoencoder, e.g. TemporalVAE.
        text_encoder: config of the text encoder.
        backbone: config of the denoiser, e.g. I2VGenUNet.
        controlnet: config of the conditioner, e.g. UNetControlNet.
        schedule: config of the noise schedule.
        velocity_loss: config of the training loss.
        prompts: defaults of a restoration, with the keys `prompt` (what the
            video shows), `suffix` (appended to every prompt) and `negative`.
        restore_options: fields of RestoreOptions that differ from its
            defaults for this model.
        frozen: names of the parts that training leaves as they are.
        data_preprocessor: config of the data preprocessor.

    Raises:
        ValueError: a misspelt key in `prompts`, `restore_options` or
            `frozen`.
    """

    def __init__(
        self,
        autoencoder: dict,
        text_encoder: dict,
        backbone: dict,
        controlnet: dict,
        schedule: dict,
        velocity_loss: dict | None = None,
        prompts: dict | None = None,
        restore_options: dict | None = None,
        frozen: tuple[str, ...] = ('autoencoder', 'text_encoder'),
        data_preprocessor: dict | None = None,
    ) -> None:
        preprocessor = data_preprocessor or {'type': 'VideoDataPreprocessor'}
        super().__init__(MODELS.build(preprocessor))
        self.autoencoder = MODELS.build(autoencoder)
        self.text_encoder = MODELS.build(text_encoder)
        self.backbone = MODELS.build(backbone)
        self.controlnet = MODELS.build(controlnet)
        self.schedule = MODELS.build(schedule)
        self.velocity_loss = MODELS.build(
            velocity_loss or {'type': 'VelocityLoss'}
        )
        self.prompts = _check_prompts(prompts or {})
        self.restore_options = _options(restore_options or {})
        self.frozen = tuple(frozen)
        for part in self._frozen_parts():
            part.requires_grad_(False)

    def train(self, mode: bool = True) -> 'STARModel':
        """Switch to training mode; frozen parts stay in evaluation mode."""
        super().train(mode)
        for part in self._frozen_parts():
            part.eval()
        return self

    def forward(
        self,
        inputs: Tensor | list[Tensor],
        data_samples: list[VideoSample],
        mode: str = 'predict',
    ) -> dict[str, Tensor] | list[VideoSample]:
        """Return the losses in mode 'loss', restored samples in 'predict'.

        Args:
            inputs: what the data preprocessor gives in training ('loss') or
                in testing ('predict').
            data_samples: one per clip.
            mode: 'loss' or 'predict'.

        Raises:
            ValueError: another `mode`.
        """
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        raise ValueError(f"`mode` must be 'loss' or 'predict', got {mode!r}")

    def loss(
        self, inputs: Tensor, data_samples: list[VideoSample]
    ) -> dict[str, Tensor]:
        """Compute the velocity loss at one random timestep per clip.

        Args:
            inputs: low-quality clips at the size of the ground truth,
                (N, C, T, H, W) in [-1, 1].
            data_samples: with `gt` and `prompt`.
        """
        gt = self.data_preprocessor.stack(data_samples, 'gt')
        with torch.no_grad():
            text = self.text_encoder([s.prompt for s in data_samples])
            z0 = self.autoencoder.encode(gt)
            z_lq = self.autoencoder.encode(inputs)
        steps = self.schedule.num_timesteps
        t = torch.randint(steps, (len(gt),), device=gt.device)
        noise = torch.randn_like(z0)
        z_t = self.schedule.add_noise(z0, noise, t)
        control = self.controlnet(z_t, t, text, z_lq)
        v = self.backbone(z_t, t, text, control)
        target = self.schedule.velocity(z0, noise, t)
        return {'loss_velocity': self.velocity_loss(v, target)}

    def predict(
        self, inputs: list[Tensor], data_samples: list[VideoSample]
    ) -> list[VideoSample]:
        """Restore clips with the model's own options and their prompts.

        Args:
            inputs: low-quality clips, each (T, C, h, w) uint8 RGB.
            data_samples: one per clip.

        Returns:
            The samples with `pred` set, (T, C, H, W) uint8.
        """
        for lq, sample in zip(inputs, data_samples, strict=True):
            options = self.restore_options
            if sample.prompt:
                options = replace(options, prompt=sample.prompt)
            sample.pred = self.restore(lq, options)
        return data_samples

    def restore(
        self,
        lq: Tensor,
        options: RestoreOptions | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """Restore a clip.

        Args:
            lq: low-quality clip, (T, C, h, w) uint8 RGB, T >= 1.
            options: None for `restore_options`.
            progress: called with a stage ('encode', 'denoise', 'decode'), the
                number of frames it has done and their total, None if unknown.

        Returns:
            Restored clip, (T, C, H, W) uint8, on the CPU.

        Raises:
            ValueError: an option or the clip's shape is wrong.
        """
        if lq.ndim != 4 or lq.dtype != torch.uint8 or not len(lq):
            raise ValueError(
                '`lq` must be (T, C, h, w) uint8 with T >= 1, got '
                f'{tuple(lq.shape)} {lq.dtype}'
            )
        report = _with_total(progress, len(lq)) if progress else None
        return torch.cat(list(self.restore_stream(lq, options, report)))

    def restore_stream(
        self,
        frames: Iterable[Tensor],
        options: RestoreOptions | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Tensor]:
        """Restore frames as they come, in memory that does not grow.

        Args:
            frames: (C, h, w) uint8 RGB each, all of one size.
            options: None for `restore_options`.
            progress: as for `restore`.

        Yields:
            Consecutive pieces of the restored clip, (t, C, H, W) uint8.

        Raises:
            ValueError: an option or a frame's shape is wrong.
        """
        restoration = Restoration(
            self, options or self.restore_options, progress
        )
        return restoration.run(iter(frames))

    def _frozen_parts(self) -> list[torch.nn.Module]:
        return [self.get_submodule(name) for name in self.frozen]


def _check_prompts(prompts: dict) -> dict[str, str]:
    known = {'prompt': '', 'suffix': '', 'negative': ''}
    unknown = sorted(set(prompts) - set(known))
    if unknown:
        raise ValueError(f'`prompts` has unknown keys: {", ".join(unknown)}')
    return known | dict(prompts)


def _options(fields: dict) -> RestoreOptions:
    try:
        return replace(RestoreOptions(), **fields)
    except TypeError as error:
        raise ValueError(f'`restore_options`: {error}') from error


def _with_total(progress: Progress, total: int) -> Progress:
    def report(stage: str, done: int, _: int | None) -> None:
        progress(stage, done, total)

    return report
