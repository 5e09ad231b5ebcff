"""Training of a small decoder on what an autoencoder's own decoder gives."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from mmengine.model import BaseModel
from torch import Tensor

from star.models.autoencoders.small_decoder import check_decoder
from star.models.contracts import Autoencoder
from star.models.editors.star.decode_window import DecodeWindow
from star.models.editors.star.random_state import ClipRandom
from star.registry import MODELS
from star.structures import VideoSample

SOURCES = ('z0', 'z_lq')


@dataclass(frozen=True)
class LatentCrop:
    """A random part of a clip's latents, and what is compared of it.

    Attributes:
        latents: time, rows and columns of the latents that are decoded.
        kept: frames, rows and columns of the decoded part, without context.
    """

    latents: tuple[slice, slice, slice]
    kept: tuple[slice, slice, slice]


def draw_crop(
    random: ClipRandom,
    shape: torch.Size,
    window: DecodeWindow,
    autoencoder: Autoencoder,
) -> LatentCrop:
    """Draw the part of a clip's latents that a step decodes.

    Where a latent stands for several frames, the first one of a part that
    begins within the clip is context: its frame is cut off. A part that
    begins with the clip keeps it, and lacks its last frame instead, so that
    all parts have one size.

    Args:
        random: of the clip.
        shape: of its latents, (C, T, h, w).
        window: `num_frames` latents, `crop_size` pixels, `margin` latents.
        autoencoder: whose factors count.
    """
    factor, ratio = autoencoder.downsample, autoencoder.temporal_downsample
    height, width = (
        None if side is None else side // factor
        for side in window.crop_size or (None, None)
    )
    time = random.crop(shape[1], window.num_frames).decoded
    rows = random.crop(shape[2], height, window.margin)
    columns = random.crop(shape[3], width, window.margin)
    frames = slice(None)
    length = time.stop - time.start
    if ratio > 1 and length > 1:
        first = min(time.start, 1)
        frames = slice(first, first + (length - 1) * ratio)
    return LatentCrop(
        (time, rows.decoded, columns.decoded),
        (frames, rows.pixels(factor)[1], columns.pixels(factor)[1]),
    )


@MODELS.register_module()
class DecoderDistillation(BaseModel):
    """Teaches a small decoder what an autoencoder's own decoder gives.

    A random part of every clip's latents is decoded by both. The own decoder
    and the encoder are frozen. Latents of low-quality clips teach it what a
    clip of ground truth does not show, so both kinds are decoded by default.

    Args:
        autoencoder: config of a TemporalVAE or CogVideoXVAE.
        decoder: config of a SmallDecoder.
        loss: config of a loss of pixels with the method `terms`, such as
            PerceptualLoss; it sees timestep 0.
        window: fields of DecodeWindow: the size of the part. Its `num_frames`
            are latents here.
        sources: of the latents: 'z0', those of the ground truth, 'z_lq',
            those of the enlarged low-quality clip, or both in turn.
        data_preprocessor: config of a VideoDataPreprocessor.

    Raises:
        ValueError: the decoder is for other latents, `crop_size` is no
            multiple of the autoencoder's factor, or `sources` are others.
    """

    autoencoder: Autoencoder

    def __init__(
        self,
        autoencoder: dict,
        decoder: dict,
        loss: dict,
        window: dict | None = None,
        sources: Sequence[str] = SOURCES,
        data_preprocessor: dict | None = None,
    ) -> None:
        preprocessor = data_preprocessor or {'type': 'VideoDataPreprocessor'}
        super().__init__(MODELS.build(preprocessor))
        self.autoencoder = MODELS.build(autoencoder)
        self.decoder = MODELS.build(decoder)
        check_decoder(self.decoder, self.autoencoder)
        self.loss = MODELS.build(loss)
        self.window = DecodeWindow(**(window or {}))
        self.sources = tuple(sources)
        _check_sources(self.sources)
        _check_crop(self.window, self.autoencoder.downsample)
        self.get_submodule('autoencoder').requires_grad_(False)

    def train(self, mode: bool = True) -> 'DecoderDistillation':
        """Switch to training mode; the teacher stays in evaluation mode."""
        super().train(mode)
        self.get_submodule('autoencoder').eval()
        return self

    def forward(
        self,
        inputs: Tensor | None,
        data_samples: list[VideoSample],
        mode: str = 'loss',
    ) -> dict[str, Tensor]:
        """Compute the losses of one part of every clip.

        Args:
            inputs: low-quality clips at the size of the ground truth,
                (N, 3, T, H, W) in [-1, 1]; unused where latents are cached.
            data_samples: with `gt`, or with `z0` and `z_lq`.
            mode: 'loss'.

        Returns:
            The terms of the loss, and to log `psnr`, in dB, between what the
            two decoders give.

        Raises:
            ValueError: another `mode`, or a clip that is needed is missing.
        """
        if mode != 'loss':
            raise ValueError(f"`mode` must be 'loss', got {mode!r}")
        device = next(self.decoder.parameters()).device
        random = [ClipRandom(sample.seed, device) for sample in data_samples]
        with torch.no_grad():
            z = self._latents(inputs, data_samples, random)
        crops = [
            draw_crop(r, latent.shape, self.window, self.autoencoder)
            for r, latent in zip(random, z, strict=True)
        ]
        parts = torch.stack(
            [_cut(x, c.latents) for x, c in zip(z, crops, strict=True)]
        )
        with torch.no_grad():
            wanted = _keep(self.autoencoder.decode(parts), crops)
        found = _keep(self.decoder(parts)[0], crops).float()
        t = torch.zeros(len(z), dtype=torch.int64, device=device)
        terms = self.loss.terms(found, wanted, t)
        return {**terms, 'psnr': psnr(found.detach(), wanted)}

    def _latents(
        self,
        inputs: Tensor | None,
        samples: list[VideoSample],
        random: list[ClipRandom],
    ) -> Tensor:
        """Take latents from the cache, or encode clips that lack them."""
        device = next(self.decoder.parameters()).device
        names = [self.sources[r.integer(len(self.sources))] for r in random]
        found = [getattr(s, n) for s, n in zip(samples, names, strict=True)]
        if all(latent is not None for latent in found):
            return torch.stack(found).to(device, torch.float32)
        clips = []
        for index, (name, sample) in enumerate(
            zip(names, samples, strict=True)
        ):
            lacks = sample.gt is None if name == 'z0' else inputs is None
            if lacks:
                raise ValueError(
                    f'{sample.name!r} or another clip of the batch has no '
                    f'cached `{name}`, and no clip to encode'
                )
            own = [sample]
            clips.append(
                self.data_preprocessor.stack(own, 'gt')[0]
                if inputs is None or name == 'z0'
                else inputs[index]
            )
        posterior = [r.posterior for r in random]
        return self.autoencoder.encode(torch.stack(clips), posterior)


def psnr(found: Tensor, wanted: Tensor) -> Tensor:
    """Return the PSNR, in dB, of clips in [-1, 1] after clamping."""
    error = found.float().clamp(-1, 1) - wanted.float().clamp(-1, 1)
    return 10 * torch.log10(4 / error.square().mean())


def _keep(decoded: Tensor, crops: Sequence[LatentCrop]) -> Tensor:
    return torch.stack(
        [_cut(x, c.kept) for x, c in zip(decoded, crops, strict=True)]
    )


def _cut(x: Tensor, part: tuple[slice, slice, slice]) -> Tensor:
    return x[(slice(None), *part)]


def _check_sources(sources: tuple[str, ...]) -> None:
    if not sources or not set(sources) <= {*SOURCES}:
        raise ValueError(
            f'`sources` must be some of {", ".join(SOURCES)}, got {sources}'
        )


def _check_crop(window: DecodeWindow, factor: int) -> None:
    if window.crop_size and any(side % factor for side in window.crop_size):
        raise ValueError(
            f'`crop_size` must have multiples of {factor}, got '
            f'{window.crop_size}'
        )
