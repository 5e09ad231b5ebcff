"""Several low-rank updates of a network, loaded, weighed and removed."""

from collections.abc import Iterator, Mapping

from torch import Tensor, nn

from star.models.layers.lora import LoRA, LoRALinear
from star.models.layers.peft_form import Update, make_lora


class AdapterStack(nn.Module):
    """The sum of the updates of one layer, each times its weight.

    Attributes:
        weights: by the name of the adapter; without one it does not count.
    """

    def __init__(self) -> None:
        super().__init__()
        self.updates = nn.ModuleDict()
        self.weights: dict[str, float] = {}

    def forward(self, x: Tensor) -> Tensor:
        """Compute the update, (..., in_features) to (..., out_features)."""
        total = None
        for name, update in self.updates.items():
            weight = self.weights.get(name, 0.0)
            if weight:
                more = update(x) if weight == 1 else update(x) * weight
                total = more if total is None else total + more
        return x.new_zeros(()) if total is None else total


def add_adapter(
    network: nn.Module, name: str, updates: Mapping[str, Update]
) -> None:
    """Give layers an update each, which counts fully.

    Args:
        network: with the layers.
        name: of the adapter.
        updates: by the name of their layer, of the right shapes.

    Raises:
        ValueError: the name is taken, or cannot be one.
    """
    if not name or '.' in name or hasattr(nn.ModuleDict, name):
        raise ValueError(f'`adapter_name` must be a plain word, got {name!r}')
    if name in adapters_of(network):
        raise ValueError(f'there is an adapter {name!r} already')
    for path, update in updates.items():
        layer = network.get_submodule(path)
        assert isinstance(layer, nn.Linear), path
        if not isinstance(layer, LoRALinear):
            layer = LoRALinear(layer, AdapterStack()).eval()
            network.set_submodule(path, layer)
        stack = layer.lora
        assert isinstance(stack, AdapterStack), path
        stack.updates[name] = make_lora(update, layer.weight)
        stack.weights[name] = 1.0


def adapters_of(network: nn.Module) -> dict[str, float]:
    """Return the adapters of a network with their weights."""
    return {
        name: stack.weights.get(name, 0.0)
        for _, _, stack in _stacks(network)
        for name in stack.updates
    }


def weigh_adapters(network: nn.Module, weights: Mapping[str, float]) -> None:
    """Set the weights of all adapters; those without one do not count.

    Raises:
        ValueError: there is no such adapter.
    """
    known = adapters_of(network)
    for name in weights:
        if name not in known:
            have = ', '.join(known) or 'none'
            raise ValueError(
                f'there is no adapter {name!r}; there are: {have}'
            )
    for _, _, stack in _stacks(network):
        stack.weights = dict(weights)


def updates_of(network: nn.Module, name: str) -> dict[str, Update]:
    """Return the updates of an adapter by the name of their layer."""
    found = {}
    for path, _, stack in _stacks(network):
        if name in stack.updates:
            lora = stack.updates[name]
            assert isinstance(lora, LoRA)
            alpha = lora.scale * len(lora.a)
            found[path] = Update(lora.a.data, lora.b.data, alpha)
    return found


def remove_adapters(network: nn.Module) -> None:
    """Give all layers back as they were before `add_adapter`."""
    for path, layer, _ in list(_stacks(network)):
        plain = nn.Linear(
            layer.in_features,
            layer.out_features,
            bias=layer.bias is not None,
            device='meta',
        )
        plain.weight, plain.bias = layer.weight, layer.bias
        network.set_submodule(path, plain.train(layer.training))


def _stacks(
    network: nn.Module,
) -> Iterator[tuple[str, LoRALinear, AdapterStack]]:
    for path, layer in network.named_modules():
        if isinstance(layer, LoRALinear):
            stack = layer.lora
            if isinstance(stack, AdapterStack):
                yield path, layer, stack
