"""What every baseline shares: restoring clips, nothing to train."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import torch
from mmengine.model import BaseModel
from torch import Tensor

from star.models.measured import restore_sample
from star.models.restore_options import check_options
from star.registry import MODELS
from star.structures import RestoreOptions, VideoSample

Progress = Callable[[str, int, int | None], None]


class Baseline(BaseModel):
    """Restores clips with the methods and options of a STARModel.

    A subclass states `enlarge`. Nothing is drawn at random and nothing
    depends on a prompt: of the options only `scale` counts.

    Args:
        scale: output size over input size that the method is made for.
        chunk: frames that `enlarge` gets at a time; a method that looks at
            neighbouring frames wants many.
        any_scale: whether `enlarge` can be asked for another scale.

    Raises:
        ValueError: `scale` or `chunk` is out of range.
    """

    def __init__(
        self, scale: float = 4, chunk: int = 1, any_scale: bool = False
    ) -> None:
        super().__init__(MODELS.build({'type': 'VideoDataPreprocessor'}))
        self.restore_options = RestoreOptions(scale=scale)
        check_options(self.restore_options)
        if chunk < 1:
            raise ValueError(f'`chunk` must be at least 1, got {chunk}')
        self.scale, self.chunk, self.any_scale = scale, chunk, any_scale

    @abstractmethod
    def enlarge(self, frames: Tensor, size: tuple[int, int]) -> Tensor:
        """Restore consecutive frames.

        Args:
            frames: (t, 3, h, w) uint8 RGB, on any device, t <= `chunk`.
            size: output height and width.

        Returns:
            (t, 3, H, W) uint8.
        """

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
            lq: low-quality clip, (T, 3, h, w) uint8 RGB, T >= 1.
            options: None for `restore_options`.
            progress: called with the stage 'decode', the number of frames
                that are done and their total.

        Returns:
            Restored clip, (T, C, H, W) uint8, on the CPU.

        Raises:
            ValueError: the scale or the clip's shape is wrong.
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
            ValueError: the method has another scale.
        """
        options = options or self.restore_options
        check_options(options)
        if options.scale != self.scale and not self.any_scale:
            raise ValueError(
                f'`scale` must be {self.scale:g} for {type(self).__name__}, '
                f'got {options.scale:g}'
            )
        return self._pieces(iter(frames), options.scale, progress)

    @torch.no_grad()
    def _pieces(
        self,
        frames: Iterator[Tensor],
        scale: float,
        progress: Progress | None,
    ) -> Iterator[Tensor]:
        done = 0
        while piece := list(islice(frames, self.chunk)):
            clip = torch.stack(piece)
            height, width = (round(side * scale) for side in clip.shape[-2:])
            yield self.enlarge(clip, (height, width)).cpu()
            done += len(piece)
            if progress is not None:
                progress('decode', done, None)
