"""What every baseline shares: restoring clips, nothing to train."""

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import asdict
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor

from star.models.editors.chunks import join_chunks
from star.models.editors.recipe import Recipe
from star.models.restoration.cost import restore_sample
from star.models.restoration.options import RestoreOptions, check_options
from star.models.restoration.segments import segments
from star.registry import MODELS
from star.structures import VideoSample

Progress = Callable[[str, int, int | None], None]
Chunk = tuple[Tensor, bool]


class Baseline(BaseModel):
    """Restores clips with the methods and options of a STARModel.

    A subclass states `enlarge`; one with a network is a `NetworkBaseline`.
    Nothing is drawn at random and nothing depends on a prompt: of the
    options only those in `used_options` count.

    Args:
        recipe: what the method declares of itself.
        chunk: frames that are restored at a time; None for the recipe's.
        overlap: frames that chunks share; None for the recipe's, or half of
            `chunk` where that is less. Methods whose recipe has none use none.
        any_scale: whether `enlarge` can be asked for another scale.

    Raises:
        ValueError: a value is out of range.
    """

    def __init__(
        self,
        recipe: Recipe,
        chunk: int | None = None,
        overlap: int | None = None,
        any_scale: bool = False,
    ) -> None:
        super().__init__(MODELS.build({'type': 'VideoDataPreprocessor'}))
        self.recipe, self.any_scale = recipe, any_scale
        chunk = recipe.chunk if chunk is None else chunk
        if overlap is None:
            overlap = self.overlap_for(chunk)
        self.restore_options = RestoreOptions(
            scale=recipe.scale, chunk=chunk, overlap=overlap
        )
        self.check_options(self.restore_options)

    @property
    def used_options(self) -> frozenset[str]:
        """Names of the options that this method heeds."""
        timed = {'overlap'} if self.recipe.overlap else set()
        return frozenset({'scale', 'chunk'} | timed)

    def overlap_for(self, chunk: int) -> int:
        """Choose the overlap of chunks for which none was asked.

        Args:
            chunk: frames that are restored at a time.
        """
        if self.recipe.blend == 'trim':  # exact with this and no less
            return self.recipe.overlap
        return min(self.recipe.overlap, chunk // 2)

    @abstractmethod
    def enlarge(self, frames: Tensor, size: tuple[int, int]) -> Tensor:
        """Restore consecutive frames.

        Args:
            frames: (t, 3, h, w) uint8 RGB, on any device.
            size: output height and width.

        Returns:
            (t, 3, H, W) uint8.
        """

    def check_options(
        self, options: RestoreOptions, given: Collection[str] = ()
    ) -> None:
        """Refuse options that this method cannot restore with.

        Args:
            options: for `restore`.
            given: names of those that somebody asked for, which must mean
                something to this method.

        Raises:
            ValueError: naming the option, the rule and the value.
        """
        name = type(self).__name__
        useless = sorted(set(given) - self.used_options)
        if useless:
            raise ValueError(
                f'`{useless[0]}` means nothing to {name}, which heeds '
                f'{", ".join(sorted(self.used_options))}'
            )
        least = self.recipe.overlap if self.recipe.blend == 'trim' else 0
        if least and (options.overlap < least or options.chunk <= least):
            raise ValueError(
                f'`chunk` must be at least {least + 1} and `overlap` at least '
                f'{least} for {name}, whose frames need their neighbours, got '
                f'{options.chunk} and {options.overlap}'
            )
        check_options(options)
        if options.scale != self.recipe.scale and not self.any_scale:
            raise ValueError(
                f'`scale` must be {self.recipe.scale:g} for {name}, got '
                f'{options.scale:g}'
            )

    def describe_options(self, options: RestoreOptions) -> dict[str, Any]:
        """Tell by which recipe clips are restored, to be written as JSON.

        Args:
            options: for `restore`.
        """
        used = {name: getattr(options, name) for name in self.used_options}
        return {**asdict(self.recipe), **used}

    def forward(
        self,
        inputs: list[Tensor],
        data_samples: list[VideoSample],
        mode: str = 'predict',
    ) -> list[VideoSample]:
        """Restore clips; there is no other mode.

        Args:
            inputs: low-quality clips, each (T, 3, h, w) uint8 RGB.
            data_samples: one per clip.
            mode: 'predict'.

        Raises:
            ValueError: another `mode`; a baseline is not trained here.
        """
        if mode != 'predict':
            raise ValueError(
                f"`mode` must be 'predict' for {type(self).__name__}, which "
                f'is not trained here, got {mode!r}'
            )
        return self.predict(list(inputs), data_samples)

    def predict(
        self, inputs: list[Tensor], data_samples: list[VideoSample]
    ) -> list[VideoSample]:
        """Restore clips.

        Args:
            inputs: low-quality clips, each (T, 3, h, w) uint8 RGB.
            data_samples: one per clip.

        Returns:
            The samples with `pred` set, (T, C, H, W) uint8, and `seconds`
            and `peak_memory`.
        """
        for lq, sample in zip(inputs, data_samples, strict=True):
            restore_sample(self, lq, self.restore_options, sample)
        return data_samples

    def restore(
        self,
        lq: Tensor,
        options: RestoreOptions | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """Restore a clip.

        Args:
            lq: low-quality clip, (T, 3, h, w) uint8 RGB, T >= 1; unchanged.
            options: None for `restore_options`.
            progress: called with the stage 'decode', the number of frames
                that are done and their total.

        Returns:
            Restored clip, (T, C, H, W) uint8, on the CPU.

        Raises:
            ValueError: an option or the clip's shape is wrong.
        """
        if lq.ndim != 4 or lq.dtype != torch.uint8 or not len(lq):
            raise ValueError(
                '`lq` must be (T, 3, h, w) uint8 with T >= 1, got '
                f'{tuple(lq.shape)} {lq.dtype}'
            )

        def report(stage: str, done: int, _: int | None) -> None:
            if progress is not None:
                progress(stage, done, len(lq))

        return torch.cat(list(self.restore_stream(lq, options, report)))

    def restore_stream(
        self,
        frames: Iterable[Tensor],
        options: RestoreOptions | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Tensor]:
        """Restore frames as they come, `chunk` at a time.

        Args:
            frames: (3, h, w) uint8 RGB each, all of one size.
            options: None for `restore_options`.
            progress: as for `restore`, without a total.

        Yields:
            Consecutive pieces of the restored clip, (t, C, H, W) uint8.

        Raises:
            ValueError: an option or a frame's shape is wrong.
        """
        options = options or self.restore_options
        self.check_options(options)
        return self._pieces(iter(frames), options, progress)

    @torch.inference_mode()
    def _pieces(
        self,
        frames: Iterator[Tensor],
        options: RestoreOptions,
        progress: Progress | None,
    ) -> Iterator[Tensor]:
        first = next(frames, None)
        if first is None:
            return
        if first.ndim != 3 or len(first) != 3 or first.dtype != torch.uint8:
            raise ValueError(
                'a frame must be (3, h, w) uint8, got '
                f'{tuple(first.shape)} {first.dtype}'
            )
        overlap = options.overlap if self.recipe.overlap else 0
        found = segments(first, frames, options.chunk, overlap)
        clips = ((clip, last) for _, clip, last in found)
        restored = self.restore_chunks(clips, options)
        done = 0
        for piece in join_chunks(restored, overlap, self.recipe.blend):
            yield round_pixels(piece).cpu()
            done += len(piece)
            if progress is not None:
                progress('decode', done, None)

    def restore_chunks(
        self, clips: Iterator[Chunk], options: RestoreOptions
    ) -> Iterator[Chunk]:
        """Restore the chunks of one clip, in order.

        Args:
            clips: (t, 3, h, w) uint8, and whether each is the last.
            options: how to restore.

        Yields:
            (t, 3, H, W) with values of [0, 255], and whether it is the last.
        """
        for clip, last in clips:
            height, width = (
                round(side * options.scale) for side in clip.shape[-2:]
            )
            out = self.enlarge(clip, (height, width))
            # only what is blended needs fractions
            yield (out.float() if self.recipe.overlap else out), last


def round_pixels(x: Tensor) -> Tensor:
    """Round values of [0, 255] to uint8, those outside clamped."""
    if x.dtype == torch.uint8:
        return x
    return x.round().clamp(0, 255).to(torch.uint8)
