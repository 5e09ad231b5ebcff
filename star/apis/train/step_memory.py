"""Memory of a training step, computed without running it."""

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from star.apis.inference.build import build_model, without_text
from star.models.editors.star.star_model import STARModel
from star.structures import VideoSample


@dataclass(frozen=True)
class ClipSize:
    """Size of a training clip: frames, and pixels of the ground truth."""

    num_frames: int
    height: int
    width: int


class MemoryCounter(TorchDispatchMode):
    """Counts the bytes of all tensors that the body makes, while they live.

    Tensors have no content: reading a number gives 0.

    Attributes:
        now: bytes that live now.
        peak: largest `now` so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(
        self,
        func: Callable,
        types: Any,
        args: tuple = (),
        kwargs: dict | None = None,
    ) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            return 0  # so random windows lie at the start
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                self._add(leaf.untyped_storage())
        return out

    def _add(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._sizes:
            return
        self._sizes[key] = storage.nbytes()
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._remove, key)

    def _remove(self, key: int) -> None:
        self.now -= self._sizes.pop(key, 0)


def step_memory(
    config: Config, clip: ClipSize, batch_size: int = 1, amp: bool = True
) -> int:
    """Compute the peak memory of one training step without the weights.

    The step runs from latents on tensors without content, as on a CPU:
    networks, losses, the decoder if a loss is on pixels, and the backward
    pass. The peak includes gradients and the copies of trained weights that
    autocast keeps. Normalisation gives float32, as under autocast on CUDA.
    Buffers inside of kernels and fragmentation are not included.

    Args:
        config: its `model` is a STARModel.
        clip: size of a clip.
        batch_size: number of clips.
        amp: run the networks under bfloat16 autocast.

    Returns:
        Bytes.
    """
    with torch.device('meta'):
        model: Any = build_model(without_text(config)).train()
    with FakeTensorMode(), torch.device('cpu'):
        _empty(model)
        if amp:
            _normalise_in_float32(model)
        samples = [_sample(model, clip) for _ in range(batch_size)]
        with MemoryCounter() as counter:
            with torch.autocast('cpu', torch.bfloat16, enabled=amp):
                losses = model.loss(None, samples)
            loss, _ = model.parse_losses(losses)
            loss.backward()
    return counter.peak


def _sample(model: STARModel, clip: ClipSize) -> VideoSample:
    """Make a training clip with cached latents."""
    factor = model.autoencoder.downsample
    ratio = model.autoencoder.temporal_downsample
    z = torch.zeros(
        model.autoencoder.latent_channels,
        1 + (clip.num_frames - 1) // ratio,
        clip.height // factor,
        clip.width // factor,
    )
    size = (clip.num_frames, 3, clip.height, clip.width)
    return VideoSample(
        gt=torch.zeros(size, dtype=torch.uint8),
        z0=z,
        z_lq=z,
        text=model.text_encoder([''])[0],
        seed=0,
    )


def _empty(model: nn.Module) -> None:
    """Replace all tensors by new ones of the same shape and type."""
    for module in model.modules():
        for name, old in module.named_parameters(recurse=False):
            empty = torch.empty(old.shape, dtype=old.dtype)
            setattr(module, name, nn.Parameter(empty, old.requires_grad))
        for name, buffer in module.named_buffers(recurse=False):
            empty = torch.empty(buffer.shape, dtype=buffer.dtype)
            setattr(module, name, empty)


def _normalise_in_float32(model: nn.Module) -> None:
    """Let norms return float32, as under autocast on CUDA."""
    for module in model.modules():
        if isinstance(module, (nn.GroupNorm, nn.LayerNorm)):
            module.register_forward_pre_hook(_to_float32)


def _to_float32(module: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
    return (inputs[0].float(),)
