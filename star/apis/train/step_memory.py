"""Memory of a training step, computed without running it."""

from dataclasses import dataclass
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from star.apis.inference.build import build_model, without_text
from star.models.editors.star.star_model import STARModel
from star.structures import VideoSample
from star.utils.memory_counter import MemoryCounter, empty_tensors


@dataclass(frozen=True)
class ClipSize:
    """Size of a training clip: frames, and pixels of the ground truth."""

    num_frames: int
    height: int
    width: int


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
        empty_tensors(model)
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


def _normalise_in_float32(model: nn.Module) -> None:
    """Let norms return float32, as under autocast on CUDA."""
    for module in model.modules():
        if isinstance(module, (nn.GroupNorm, nn.LayerNorm)):
            module.register_forward_pre_hook(_to_float32)


def _to_float32(module: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
    return (inputs[0].float(),)
