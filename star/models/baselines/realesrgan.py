"""Real-ESRGAN's compact networks, Wang et al. 2021 and their release 0.2.5.

They see one frame at a time, so they flicker where the input does.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from star.models.baselines.base import Baseline
from star.models.checkpoints import load_checkpoint_file, unwrap
from star.registry import MODELS

_WRAPPERS = ('params_ema', 'params')  # the first that a file has


class SRVGGNetCompact(nn.Module):
    """A row of convolutions at the input's size, then a pixel shuffle.

    Named as in the released files: `body.0.weight` and so on.

    Args:
        num_conv: inner convolutions, >= 0.
        dim: their width.
        scale: a whole number.
    """

    def __init__(
        self, num_conv: int = 32, dim: int = 64, scale: int = 4
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs in [3] + [dim] * num_conv:
            layers += [nn.Conv2d(inputs, dim, 3, padding=1), nn.PReLU(dim)]
        layers.append(nn.Conv2d(dim, 3 * scale**2, 3, padding=1))
        self.body = nn.Sequential(*layers)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge frames, (N, 3, h, w) RGB in [0, 1], not clamped."""
        detail = F.pixel_shuffle(self.body(x), self.scale)
        return detail + F.interpolate(
            x, scale_factor=self.scale, mode='nearest'
        )


@MODELS.register_module()
class RealESRGANCompact(Baseline):
    """Restores clips frame by frame with a compact Real-ESRGAN network.

    Args:
        num_conv: 32 for realesr-general-x4v3, 16 for realesr-animevideov3.
        weights: the released file; None where they are loaded later, and
            until then nothing is restored.
        scale: that the weights are made for.

    Raises:
        ValueError: a file that cannot be read or does not fit.
    """

    def __init__(
        self,
        num_conv: int = 32,
        weights: str | None = None,
        scale: int = 4,
    ) -> None:
        super().__init__(scale)
        self.network = SRVGGNetCompact(num_conv, scale=scale)
        self.loaded = False
        self.register_load_state_dict_post_hook(_mark_loaded)
        if weights is not None:
            self._load(weights)

    def enlarge(self, frames: Tensor, size: tuple[int, int]) -> Tensor:
        """Restore frames.

        Raises:
            ValueError: no weights were loaded.
        """
        if not self.loaded:
            raise ValueError(
                '`weights` must name a file of RealESRGANCompact, got None'
            )
        parameter = next(self.network.parameters())
        out = self.network(frames.to(parameter) / 255)
        return (out * 255).round().clamp(0, 255).to(torch.uint8)

    def _load(self, weights: str) -> None:
        checkpoint = load_checkpoint_file(weights)
        found = next((k for k in _WRAPPERS if k in checkpoint), None)
        state = unwrap(checkpoint[found] if found else checkpoint)
        _check_fit(self.network.state_dict(), state, weights)
        self.network.load_state_dict(state, strict=True)
        self.loaded = True


def _check_fit(
    own: Mapping[str, Tensor], state: Mapping[str, Tensor], path: str
) -> None:
    shapes, expected = (
        {name: tuple(tensor.shape) for name, tensor in each.items()}
        for each in (state, own)
    )
    if shapes != expected:
        raise ValueError(
            f'`weights`: {path} does not fit `num_conv` and `scale`: '
            f'{len(shapes)} tensors, {len(expected)} expected, '
            f'{len(shapes.items() & expected.items())} of them alike'
        )


def _mark_loaded(model: nn.Module, _: Any) -> None:
    assert isinstance(model, RealESRGANCompact)
    model.loaded = True
