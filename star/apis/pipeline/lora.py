"""LoRA of a pipeline's denoiser, in PEFT's form."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from star.models.layers.adapters import (
    adapters_of,
    add_adapter,
    remove_adapters,
    updates_of,
    weigh_adapters,
)
from star.models.layers.peft_form import Update, peft_state, read_updates
from star.utils.files import read_json
from star.utils.tensor_files import read_notes, read_state, save_tensors

# diffusers' and PEFT's own names
WEIGHT_NAMES = (
    'pytorch_lora_weights.safetensors',
    'adapter_model.safetensors',
)
_CONFIG = 'adapter_config.json'  # of PEFT, beside its weights
_HEADER = 'lora_adapter_metadata'  # of diffusers, in a file's header
_PREFIX = 'transformer.'
_REFUSED = ('use_dora', 'lora_bias')  # kinds of updates that are no LoRA


class LoRALoader:
    """Loads LoRA weights into CogVideoX's transformer, and saves them."""

    transformer: Any

    def load_lora_weights(
        self,
        source: str | os.PathLike | Mapping[str, Tensor],
        weight_name: str | None = None,
        adapter_name: str | None = None,
    ) -> None:
        """Add an adapter to the transformer; it counts fully.

        Names may begin with 'transformer.', 'diffusion_model.' or
        'base_model.model.'. If anything does not fit, nothing is loaded.

        Args:
            source: file, folder or tensors by name.
            weight_name: of the file in the folder.
            adapter_name: a word; None for 'default_0' and so on.

        Raises:
            ValueError: the file is missing or damaged, something does not
                fit, or the name is taken.
        """
        network = self._lora_network()
        if isinstance(source, Mapping):
            state, config = dict(source), {}
            where = 'the given tensors'
        else:
            path = find_adapter(Path(source), weight_name)
            state, config, where = (
                read_state(path),
                read_config(path),
                f'{path}',
            )
        known = adapters_of(network)
        name = adapter_name or f'default_{len(known)}'
        try:
            layers = dict(network.named_modules())
            updates = read_updates(state, layers, config)
            if not updates:
                raise ValueError('there are no LoRA weights')
        except ValueError as error:
            raise ValueError(f'{where}: {error}') from None
        add_adapter(network, name, updates)

    def unload_lora_weights(self) -> None:
        """Remove all adapters; the transformer is as it was before."""
        remove_adapters(self._lora_network())

    def set_adapters(
        self,
        adapter_names: str | list[str],
        adapter_weights: float | list[float] = 1.0,
    ) -> None:
        """Choose which adapters count, and how much.

        Args:
            adapter_names: those that count.
            adapter_weights: one for all, or one for each.

        Raises:
            ValueError: there is no such adapter, or not as many weights as
                names.
        """
        names = adapter_names
        if isinstance(names, str):
            names = [names]
        weights = adapter_weights
        if not isinstance(weights, list):
            weights = [weights] * len(names)
        if len(weights) != len(names):
            raise ValueError(
                f'`adapter_weights` must be as many as names, {len(names)}, '
                f'got {len(weights)}'
            )
        weights_of = dict(zip(names, map(float, weights), strict=True))
        weigh_adapters(self._lora_network(), weights_of)

    def get_active_adapters(self) -> list[str]:
        """List the adapters that count."""
        known = adapters_of(self._lora_network())
        return [name for name, weight in known.items() if weight]

    def save_lora_weights(
        self, folder: str | os.PathLike, adapter_name: str | None = None
    ) -> Path:
        """Write an adapter in PEFT's form, as diffusers and PEFT read it.

        Args:
            folder: for `pytorch_lora_weights.safetensors`; made if need be.
            adapter_name: None for the only one.

        Raises:
            ValueError: there is no such adapter, or the name is missing.
        """
        known = list(adapters_of(self._lora_network()))
        name = adapter_name or (known[0] if len(known) == 1 else None)
        if name not in known:
            have = ', '.join(known) or 'none'
            raise ValueError(
                f'`adapter_name` must be one of the adapters ({have}), got '
                f'{adapter_name!r}'
            )
        path = Path(folder) / WEIGHT_NAMES[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_adapter(updates_of(self._lora_network(), name), path)
        return path

    def refuse_adapters(self, what: str) -> None:
        """Raise a ValueError if adapters are loaded.

        Args:
            what: that is refused with them.
        """
        network = getattr(self.transformer, 'backbone', None)
        if network is not None and adapters_of(network):
            raise ValueError(
                f'`{what}` does not keep LoRA weights: save them with '
                '`save_lora_weights`, then call `unload_lora_weights`'
            )

    def _lora_network(self) -> nn.Module:
        """Return the network whose layers have the names of diffusers'."""
        if self.transformer is None:
            raise ValueError(
                'LoRA weights are for CogVideoX, and this pipeline has no '
                'transformer'
            )
        return self.transformer.backbone.transformer


def find_adapter(source: Path, weight_name: str | None) -> Path:
    """Find the file of an adapter.

    Args:
        source: the file or its folder.
        weight_name: of the file in the folder.

    Raises:
        ValueError: there is none, or several.
    """
    source = source.expanduser()
    if not source.exists():
        raise ValueError(f'there is no file or folder {source}')
    if not source.is_dir():
        return source
    names = [weight_name] if weight_name else WEIGHT_NAMES
    for name in names:
        if (source / name).is_file():
            return source / name
    others = [] if weight_name else sorted(source.glob('*.safetensors'))
    if len(others) != 1:
        rest = ', and several others' if others else ''
        raise ValueError(f'{source} has no {" or ".join(names)}{rest}')
    return others[0]


def read_config(path: Path) -> dict[str, Any]:
    """Read PEFT's config of an adapter, from the header or beside the file.

    Raises:
        ValueError: it is damaged, or of updates that are no LoRA.
    """
    header = read_notes(path).get(_HEADER)
    beside = path.with_name(_CONFIG)
    try:
        found: Any = {}
        if header is not None:
            found = json.loads(header)
        elif beside.is_file():
            found = read_json(beside)
        found = {k.removeprefix(_PREFIX): v for k, v in found.items()}
    except (AttributeError, json.JSONDecodeError):
        raise ValueError(f'{path}: its LoRA config is damaged') from None
    for name in _REFUSED:
        if found.get(name):
            raise ValueError(f'{path}: `{name}` of its config is no LoRA')
    return found


def write_adapter(updates: Mapping[str, Update], path: Path) -> None:
    """Write updates in PEFT's form; the file appears when complete.

    Args:
        updates: by the name of their layer in diffusers' transformer.
        path: the file, replaced if it exists.
    """
    save_tensors(
        {k: v.cpu() for k, v in peft_state(updates, _PREFIX).items()}, path
    )
