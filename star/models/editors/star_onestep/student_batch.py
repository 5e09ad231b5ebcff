"""The batch of a distillation: clips with what a teacher made of them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from star.models.data_preprocessor import VideoDataPreprocessor
from star.models.editors.star.objective import stack_cached
from star.models.editors.star.random_state import ClipRandom
from star.models.restoration.options import RestoreOptions
from star.models.restoration.parts import ModelParts
from star.models.restoration.segments import frame_noise
from star.structures import TeacherPath, VideoSample


@dataclass(frozen=True)
class StudentBatch:
    """The data of one training step of a student.

    Attributes:
        z_lq: latents of the enlarged low-quality clips, (N, C, T, h, w).
        z0: latents of the ground truth, of the same shape.
        paths: of the teacher, one for each clip.
        text: embeddings of the prompts, (N, L, D).
        start: latents at which the student's sampler begins, as `z_lq`.
        random: of each clip.
        gt: ground truth, (N, C, T, H, W) in [-1, 1], if a loss needs it.
    """

    z_lq: Tensor
    z0: Tensor
    paths: list[TeacherPath]
    text: Tensor
    start: Tensor
    random: list[ClipRandom]
    gt: Tensor | None

    @property
    def ends(self) -> Tensor:
        """Latents that the teacher ended at, of the shape of `z_lq`."""
        return torch.stack([path.z0 for path in self.paths]).to(self.z_lq)


@torch.no_grad()
def student_batch(
    parts: ModelParts,
    preprocessor: VideoDataPreprocessor,
    options: RestoreOptions,
    samples: list[VideoSample],
    pixels: bool,
) -> StudentBatch:
    """Put the cached latents of a batch together.

    A student whose options have no prompt sees the embedding of the empty
    one, any other that of the teacher's prompt.

    Args:
        parts: of the student.
        preprocessor: stacks the ground truth.
        options: with which the student restores.
        samples: one per clip.
        pixels: whether a loss needs the pixels of the ground truth.

    Raises:
        ValueError: a sample lacks what a teacher's cache has.
    """
    device = parts.schedule.alpha.device
    paths = [_path(sample) for sample in samples]
    z_lq, z0 = (stack_cached(samples, name, device) for name in ('z_lq', 'z0'))
    if z_lq is None or z0 is None:
        raise ValueError('a distillation needs cached latents `z0` and `z_lq`')
    ratio = parts.autoencoder.temporal_downsample
    return StudentBatch(
        z_lq=z_lq,
        z0=z0,
        paths=paths,
        text=_text(samples, paths, options).to(device, torch.float32),
        start=start_latents(parts, options, z_lq, paths, ratio),
        random=[ClipRandom(sample.seed, device) for sample in samples],
        gt=_ground_truth(preprocessor, samples) if pixels else None,
    )


def start_latents(
    parts: ModelParts,
    options: RestoreOptions,
    z_lq: Tensor,
    paths: list[TeacherPath],
    ratio: int,
) -> Tensor:
    """Noise low-quality latents to where a student begins, as in use.

    The noise is the one that the teacher began with; none where the options
    say so.

    Args:
        parts: of the student.
        options: with which the student restores.
        z_lq: (N, C, T, h, w).
        paths: of the teacher, with the seeds of the noise.
        ratio: frames of a latent.
    """
    first, *_ = parts.schedule.list_timesteps(
        options.mode, options.steps, options.strength
    )
    alpha, sigma = parts.schedule.at(first)
    if options.noise == 'none':
        return alpha * z_lq
    shape = torch.Size([1, *z_lq.shape[1:]])
    noise = torch.cat(
        [frame_noise(path.noise_seed, 0, 0, shape, ratio) for path in paths]
    )
    return alpha * z_lq + sigma * noise.to(z_lq.device)


def _path(sample: VideoSample) -> TeacherPath:
    if sample.teacher is None:
        raise ValueError(
            f'a distillation needs what a teacher made of {sample.name!r}: '
            'train from a cache of `star prepare teacher`'
        )
    return sample.teacher


def _text(
    samples: list[VideoSample],
    paths: list[TeacherPath],
    options: RestoreOptions,
) -> Tensor:
    """Stack the embeddings that the student sees, (N, L, D)."""
    if options.prompt or options.prompt_suffix:
        found = [sample.text for sample in samples]
    else:
        found = [path.no_text for path in paths]
    texts = [text for text in found if text is not None]
    if len(texts) < len(found):
        raise ValueError('a distillation needs cached embeddings of prompts')
    return torch.stack(texts)


def _ground_truth(
    preprocessor: VideoDataPreprocessor, samples: list[VideoSample]
) -> Tensor:
    for sample in samples:
        if sample.gt is None:
            raise ValueError(
                'losses on pixels need the ground truth `gt` of every clip, '
                f'{sample.name!r} has none: make the cache with --keep-gt'
            )
    return preprocessor.stack(samples, 'gt')
