"""Parts of ours in the form in which diffusers keeps components.

A folder's `model_index.json` names these classes, so they keep their names.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diffusers import ModelMixin, SchedulerMixin
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import nn
from transformers import FeatureExtractionMixin

from star.models.contracts import Text
from star.registry import MODELS
from star.utils.compat import require

SPIECE = 'spiece.model'


class STARNetwork(ModelMixin, ConfigMixin):
    """A network of ours, such as a backbone or a ControlNet.

    It stands for the network wherever that is used: what it does not have
    itself, it takes from there. Its tensors have the names of the model's.

    Args:
        role: name of the part in the model, such as 'backbone'.
        part: config of the network.
    """

    @register_to_config
    def __init__(self, role: str, part: dict) -> None:
        super().__init__()
        self.role = role
        self.add_module(role, MODELS.build(part))

    @classmethod
    def wrap(cls, role: str, network: nn.Module, part: Mapping) -> Any:
        """Make a component of a network that is built already.

        Args:
            role: name of the part in the model.
            network: the network; it is not copied.
            part: its config.
        """
        made = cls(role, network)
        made.register_to_config(part=dict(part))  # in place of the network
        return made.eval()

    def forward(self, *inputs: Any) -> Any:
        """Call the network."""
        return self._network(*inputs)

    def to(self, *places: Any, **named: Any) -> 'STARNetwork':
        """Move as any module; diffusers warns of a dtype without need."""
        return nn.Module.to(self, *places, **named)

    @apply_forward_hook  # as `forward`, it may need the weights moved
    def project_text(self, text: Text) -> Text:
        """Compute what depends on the text alone; see `Backbone`."""
        return self._network.project_text(text)

    @property
    def _network(self) -> Any:
        return self._modules[self.__dict__['role']]

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            role = self.__dict__.get('role')
            network = self.__dict__.get('_modules', {}).get(role)
            if name.startswith('_') or network is None:
                raise
            return getattr(network, name)


class STARScheduler(SchedulerMixin, ConfigMixin):
    """The config of a noise schedule of ours; the model computes with it.

    Args:
        schedule: config of the schedule, such as `dict(type=
            'I2VGenSchedule')`.
    """

    @register_to_config
    def __init__(self, schedule: dict) -> None:
        pass


class SentencePieces(FeatureExtractionMixin):
    """The tokenizer of T5: a sentencepiece model, kept as it is.

    Args:
        model: content of `spiece.model`.

    Raises:
        ImportError: sentencepiece is not installed.
        ValueError: this is no sentencepiece model.
    """

    def __init__(self, model: bytes) -> None:
        super().__init__()
        pieces = require('sentencepiece', 'cogvideox')
        self.model = model
        try:
            self._pieces = pieces.SentencePieceProcessor(model_proto=model)
        except RuntimeError as error:
            raise ValueError(f'{SPIECE} is no sentencepiece model') from error

    def __repr__(self) -> str:
        return f'{type(self).__name__}({len(self.model)} bytes)'

    def encode(self, prompt: str) -> list[int]:
        """Return a prompt's token ids without marks."""
        return self._pieces.encode(prompt)

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls, folder: str | Path
    ) -> 'SentencePieces':
        """Read the file `spiece.model` of a folder.

        Raises:
            ValueError: there is none.
        """
        path = Path(folder) / SPIECE
        if not path.is_file():
            raise ValueError(f'missing file of the text encoder: {path}')
        return cls(path.read_bytes())

    def save_pretrained(  # type: ignore[override]
        self, folder: str | Path, push_to_hub: bool = False
    ) -> None:
        """Write the file `spiece.model` into a folder.

        Raises:
            ValueError: `push_to_hub` is set: upload the folder instead.
        """
        if push_to_hub:
            raise ValueError('`push_to_hub` must be False: upload the folder')
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / SPIECE).write_bytes(self.model)


def save_tokenizer(tokenizer: Any, folder: str | Path) -> None:
    """Write a tokenizer in its library's form and in ours.

    Args:
        tokenizer: a component; of CLIP or T5.
        folder: the component's.
    """
    tokenizer.save_pretrained(folder)
    backend = getattr(tokenizer, 'backend_tokenizer', None)
    if backend is not None:  # vocab.json and merges.txt
        backend.model.save(str(folder))
