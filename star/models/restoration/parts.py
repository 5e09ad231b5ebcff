"""The parts of a diffusion model, as training and restoration take them."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from star.models.contracts import (
    Autoencoder,
    Backbone,
    ControlNet,
    NoiseSchedule,
    Text,
    TextEncoder,
)
from star.models.layers.step_memory import StepMemory


@dataclass(frozen=True)
class ModelParts:
    """Parts of a diffusion model.

    Attributes:
        autoencoder: on the device of the backbone.
        text_encoder: on any device.
        backbone: its device and dtype are those of a restoration.
        controlnet: of the backbone.
        schedule: of the backbone.
        velocity: predicts the velocity (N, C, T, h, w) from z_t, t, the
            texts of ControlNet and backbone, z_lq and a `StepMemory` or
            None.
        complete: makes the velocity of what the backbone predicts, z_t, t
            and z_lq.
    """

    autoencoder: Autoencoder
    text_encoder: TextEncoder
    backbone: Backbone
    controlnet: ControlNet
    schedule: NoiseSchedule
    velocity: Callable[
        [Tensor, Tensor, tuple[Text, Text], Tensor, StepMemory | None], Tensor
    ]
    complete: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
