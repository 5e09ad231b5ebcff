"""Features of a frozen denoiser, which an adversarial loss judges by."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from star.models.backbones.i2vgen.checkpoints import load_star_weights
from star.registry import MODELS
from star.utils.tensor_files import read_state


@MODELS.register_module()
class TeacherFeatures:
    """Gives what layers of a frozen teacher compute of noised latents.

    The networks are built and loaded at the first call, on the device of the
    latents. They are in no state dict and no optimiser.

    Args:
        backbone: config of the teacher's denoiser, such as I2VGenUNet.
        controlnet: config of its ControlNet.
        layers: names of modules of the backbone, with the channels of their
            output, which are its last dimension.
        pretrained: file with the weights of both, as a STARModel's `star`
            file; None for networks that are given with their weights.

    Raises:
        ValueError: there are no layers.
    """

    def __init__(
        self,
        backbone: dict,
        controlnet: dict,
        layers: Mapping[str, int],
        pretrained: str | None = None,
    ) -> None:
        if not layers:
            raise ValueError('`layers` must name modules, got none')
        self.backbone = backbone
        self.controlnet = controlnet
        self.layers = dict(layers)
        self.pretrained = pretrained
        self._networks: list[Any] = []

    def __call__(
        self, x_t: Tensor, t: Tensor, text: Any, z_lq: Tensor
    ) -> list[Tensor]:
        """Compute the features; the gradient of `x_t` passes.

        Args:
            x_t: noised latents, (N, C, T, h, w).
            t: timesteps, (N,) int64.
            text: embeddings, (N, L, D).
            z_lq: low-quality latents, of the shape of `x_t`.

        Returns:
            One tensor (n, ..., channels) for each layer, n a multiple of N.

        Raises:
            ValueError: a layer does not exist, or has other channels.
        """
        controlnet, backbone = self.networks(x_t.device)
        found: dict[str, Tensor] = {}

        def keep(name: str) -> Any:
            def hook(_: nn.Module, __: Any, output: Any) -> None:
                found[name] = output[0] if _is_list(output) else output

            return hook

        hooks = [
            _layer(backbone, name).register_forward_hook(keep(name))
            for name in self.layers
        ]
        try:
            backbone(x_t, t, text, controlnet(x_t, t, text, z_lq))
        finally:
            for hook in hooks:
                hook.remove()
        self._check(found)
        return [found[name] for name in self.layers]

    def networks(self, device: torch.device) -> list[Any]:
        """Return ControlNet and backbone on a device; load them first."""
        if not self._networks:
            built: list[Any] = [
                MODELS.build(part) for part in (self.controlnet, self.backbone)
            ]
            if self.pretrained is not None:
                state = read_state(self.pretrained)
                load_star_weights(built[1], built[0], state)
            for network in built:
                network.requires_grad_(False).eval()
            self._networks = built
        self._networks = [network.to(device) for network in self._networks]
        return self._networks

    def _check(self, found: Mapping[str, Tensor]) -> None:
        for name, channels in self.layers.items():
            if name not in found:
                raise ValueError(f'layer {name!r} of the teacher did not run')
            if found[name].shape[-1] != channels:
                raise ValueError(
                    f'layer {name!r} of the teacher has '
                    f'{found[name].shape[-1]} channels, `layers` says '
                    f'{channels}'
                )


def _layer(backbone: nn.Module, name: str) -> nn.Module:
    try:
        return backbone.get_submodule(name)
    except AttributeError as error:
        raise ValueError(f'the teacher has no layer {name!r}') from error


def _is_list(output: Any) -> bool:
    return isinstance(output, list | tuple)
