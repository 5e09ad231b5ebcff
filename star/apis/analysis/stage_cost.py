"""Operations of each stage of a STARModel's restoration, from shapes alone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor

from star.apis.inference.build import build_model, without_text
from star.models.editors.star.star_model import STARModel
from star.models.restoration.options import RestoreOptions
from star.utils.operation_counter import OperationCounter
from star.utils.shape_run import ShapeRun, without_content


@dataclass(frozen=True)
class StageCost:
    """The operations of a clip's restoration.

    Args:
        encode: TFLOP of the encoder, a multiplication and an addition being
            two.
        denoise: of ControlNet and denoiser.
        decode: of the decoder.
        frames: of the clip.
    """

    encode: float
    denoise: float
    decode: float
    frames: int

    @property
    def total(self) -> float:
        """TFLOP of all stages."""
        return self.encode + self.denoise + self.decode


def one_step(options: RestoreOptions) -> RestoreOptions:
    """Return the options of a model that restores in one step, unguided."""
    return replace(
        options,
        mode='normal',
        steps=1,
        sampler='ddim',
        guidance_scale=1,
        guidance_exponent=0,
    )


def stage_cost(
    config: Config,
    clip: tuple[int, int, int],
    change: Callable[[RestoreOptions], RestoreOptions] = one_step,
) -> StageCost:
    """Count a restoration stage by stage, with its windows and tiles.

    The model runs on tensors without content. Text is not counted.

    Args:
        config: of a STARModel.
        clip: frames, height and width of the low-quality clip.
        change: makes the options to count with of the config's own.

    Raises:
        ValueError: the model is another one, or the options do not fit.
    """
    with torch.device('meta'):
        model: Any = build_model(without_text(config)).eval()
    if not isinstance(model, STARModel):
        raise ValueError(f'config {config.filename} is no STARModel')
    options = change(model.restore_options)
    model.check_options(options)
    copy: Any = without_content(model)
    encode, denoise, decode = _StageCounter(), _StageCounter(), _StageCounter()
    vae = copy.autoencoder
    vae.encode = encode.counted(vae.encode)
    copy.velocity = denoise.counted(copy.velocity)
    vae.decode_pieces = decode.counted_pieces(vae.decode_pieces)
    with ShapeRun(on_gpu=True), torch.inference_mode():
        for _ in copy.restore_stream(_frames(clip), options):
            pass
    return StageCost(encode.tflop, denoise.tflop, decode.tflop, clip[0])


class _StageCounter:
    """Counts the operations of what it wraps.

    Attributes:
        tflop: so far.
    """

    def __init__(self) -> None:
        self.tflop = 0.0

    def counted(self, call: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """Wrap a function."""

        def run(*args: Any, **kwargs: Any) -> Tensor:
            with self._count():
                return call(*args, **kwargs)

        return run

    def counted_pieces(
        self, call: Callable[..., Iterator[Tensor]]
    ) -> Callable[..., Iterator[Tensor]]:
        """Wrap a function that yields."""

        def run(*args: Any, **kwargs: Any) -> Iterator[Tensor]:
            pieces = call(*args, **kwargs)
            while True:
                with self._count():
                    piece = next(pieces, None)
                if piece is None:
                    return
                yield piece

        return run

    @contextmanager
    def _count(self) -> Iterator[None]:
        with OperationCounter() as counter:
            yield
        self.tflop += counter.tflop


def _frames(clip: tuple[int, int, int]) -> Iterator[Tensor]:
    length, height, width = clip
    for _ in range(length):
        size = (3, height, width)
        yield torch.empty(size, dtype=torch.uint8, device='meta')
