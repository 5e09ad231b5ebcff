"""Low-rank updates of linear layers (LoRA, arXiv 2106.09685)."""

from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from star.registry import MODELS


@MODELS.register_module()
class LoRA(nn.Module):
    """A low-rank update of a linear layer: alpha / rank * B A x.

    A new one adds zero. The official STAR on CogVideoX has rank 512 and
    alpha 1.

    Args:
        in_features: of the layer; set by the network, not by a config.
        out_features: of the layer; set by the network.
        rank: rows of A.
        alpha: strength.

    Raises:
        ValueError: `rank` is not positive.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        rank: int = 512,
        alpha: float = 1,
    ) -> None:
        super().__init__()
        if rank < 1:
            raise ValueError(f'`rank` must be positive, got {rank}')
        self.scale = alpha / rank
        self.a = nn.Parameter(torch.empty(rank, in_features))
        self.b = nn.Parameter(torch.empty(out_features, rank))
        nn.init.kaiming_uniform_(self.a, a=5**0.5)
        nn.init.zeros_(self.b)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the update, (..., in_features) to (..., out_features)."""
        return F.linear(F.linear(x, self.a), self.b) * self.scale


class LoRALinear(nn.Linear):
    """A linear layer with an update; it takes over the layer's tensors.

    Args:
        linear: the layer.
        lora: maps the layer's input to an update of its output.
    """

    def __init__(self, linear: nn.Linear, lora: nn.Module) -> None:
        super().__init__(
            linear.in_features,
            linear.out_features,
            bias=linear.bias is not None,
            device='meta',
        )
        self.weight, self.bias = linear.weight, linear.bias
        self.lora = lora

    def forward(self, x: Tensor) -> Tensor:
        """Apply layer and update: (..., in_features) to (..., out)."""
        return super().forward(x) + self.lora(x)


def merge_update(weight: Tensor, a: Tensor, b: Tensor, scale: float) -> Tensor:
    """Add a low-rank update to a weight, in float32.

    Args:
        weight: (out, in).
        a: (rank, in).
        b: (out, rank).
        scale: alpha / rank.

    Returns:
        weight + scale * b a, (out, in) float32.
    """
    return torch.addmm(weight.float(), b.float(), a.float(), alpha=scale)


def add_lora(network: nn.Module, names: Iterable[str], lora: Mapping) -> None:
    """Add an update to each of some linear layers, in place.

    Args:
        network: whose layers.
        names: of the layers within it.
        lora: config of a registered class.
    """
    for name in names:
        linear = network.get_submodule(name)
        assert isinstance(linear, nn.Linear), name
        sizes = dict(
            in_features=linear.in_features, out_features=linear.out_features
        )
        update = MODELS.build({**lora, **sizes})
        network.set_submodule(name, LoRALinear(linear, update))


@torch.no_grad()
def merge_lora(network: nn.Module) -> None:
    """Turn all updates of a network into plain weights, in place.

    Args:
        network: computes the same as before, faster.
    """
    found = [
        (name, module)
        for name, module in network.named_modules()
        if isinstance(module, LoRALinear)
    ]
    for name, module in found:
        assert isinstance(module.lora, LoRA)
        lora = module.lora
        merged = merge_update(module.weight, lora.a, lora.b, lora.scale)
        module.weight.copy_(merged)
        plain = nn.Linear(
            module.in_features,
            module.out_features,
            bias=module.bias is not None,
            device='meta',
        )
        plain.weight, plain.bias = module.weight, module.bias
        network.set_submodule(name, plain.train(module.training))
