"""Memory and operations of a training step, without running it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from star.apis.inference.build import build_model, without_text
from star.models.editors.star.star_model import STARModel
from star.models.losses.perceptual_loss import PerceptualLoss
from star.structures import TeacherPath, VideoSample
from star.utils.memory_counter import MemoryCounter, empty_tensors
from star.utils.operation_counter import OperationCounter


@dataclass(frozen=True)
class ClipSize:
    """Size of a training clip: frames, and pixels of the ground truth."""

    num_frames: int
    height: int
    width: int


@dataclass(frozen=True)
class StepCost:
    """The cost of one training step on one GPU.

    Attributes:
        memory: bytes at its peak, without the weights.
        tflop: operations in units of 10^12, a multiplication and an addition
            being two, of networks, losses, decoder and backward pass.
    """

    memory: int
    tflop: float


def step_memory(
    config: Config, clip: ClipSize, batch_size: int = 1, amp: bool = True
) -> int:
    """Compute the peak memory of one training step; see `step_cost`."""
    return step_cost(config, clip, batch_size, amp).memory


def step_cost(
    config: Config, clip: ClipSize, batch_size: int = 1, amp: bool = True
) -> StepCost:
    """Compute memory and operations of one training step.

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
        The cost; its memory is without the weights.
    """
    with torch.device('meta'):
        model: Any = build_model(without_text(config)).train()
    with FakeTensorMode(), torch.device('cpu'):
        empty_tensors(model)
        if amp:
            _normalise_in_float32(model)
        _give_networks(model)
        samples = [_sample(model, clip) for _ in range(batch_size)]
        with MemoryCounter() as counter, OperationCounter() as operations:
            model.velocity = _SameOnce(model.velocity, operations)
            with torch.autocast('cpu', torch.bfloat16, enabled=amp):
                losses = model.loss(None, samples)
            loss, _ = model.parse_losses(losses)
            loss.backward()
    return StepCost(counter.peak, operations.tflop)


class _SameOnce:
    """Calls a denoiser; of its calls without a gradient only the first.

    A student of several steps makes all of them in each training step, with
    the same shapes.

    Args:
        velocity: of a STARModel.
        operations: that are being counted; the other calls' are added.
    """

    def __init__(
        self, velocity: Callable[..., Tensor], operations: OperationCounter
    ) -> None:
        self.velocity, self.operations = velocity, operations
        self.size: torch.Size | None = None
        self.dtype, self.count = torch.float32, 0

    def __call__(self, *inputs: Any) -> Tensor:
        """Return the velocity, or a tensor like it."""
        if torch.is_grad_enabled():
            return self.velocity(*inputs)
        if self.size is None:
            before = self.operations.total
            v = self.velocity(*inputs)
            self.size, self.dtype = v.shape, v.dtype
            self.count = self.operations.total - before
            return v
        self.operations.total += self.count
        return torch.empty(self.size, dtype=self.dtype)


def _give_networks(model: nn.Module) -> None:
    """Give losses networks without content, where they would load them."""
    for module in model.modules():
        if isinstance(module, PerceptualLoss):
            module.skip_weights()


def _sample(model: STARModel, clip: ClipSize) -> VideoSample:
    """Make a training clip with all that may be cached of it."""
    factor = model.autoencoder.downsample
    ratio = model.autoencoder.temporal_downsample
    z = torch.zeros(
        model.autoencoder.latent_channels,
        1 + (clip.num_frames - 1) // ratio,
        clip.height // factor,
        clip.width // factor,
    )
    size = (clip.num_frames, 3, clip.height, clip.width)
    text = model.text_encoder([''])[0]
    return VideoSample(
        gt=torch.zeros(size, dtype=torch.uint8),
        z0=z,
        z_lq=z,
        text=text,
        teacher=TeacherPath(z, [0], z[None], z[None], 0, text),
        seed=0,
    )


def _normalise_in_float32(model: nn.Module) -> None:
    """Let norms return float32, as under autocast on CUDA."""
    for module in model.modules():
        if isinstance(module, (nn.GroupNorm, nn.LayerNorm)):
            module.register_forward_pre_hook(_to_float32)


def _to_float32(module: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
    return (inputs[0].float(),)
