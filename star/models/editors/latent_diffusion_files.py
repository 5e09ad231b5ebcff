"""The authors' files of methods that were made of Stable Diffusion."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn

from star.models.autoencoders.cfw_vae import KLEncoder, kl_state
from star.models.backbones.stable_diffusion.names import (
    structure_state,
    unet_state,
)
from star.models.backbones.stable_diffusion.spade_unet import SpadeUNet
from star.models.text_encoders.open_clip import (
    OpenCLIPTextEncoder,
    name_text_tensors,
)
from star.utils.tensor_files import read_state

_ENCODER = ('encoder.', 'quant_conv.')


class DiffusionFile:
    """Lightning's checkpoint of a whole diffusion model.

    The decoder of its image autoencoder and the tables of its schedule are
    left out.

    Args:
        path: of the file.

    Raises:
        ValueError: the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.state = path, read_state(path)

    def take(self, prefix: str) -> dict[str, Tensor]:
        """Take one network's tensors, without the prefix of their names.

        Args:
            prefix: such as 'model.diffusion_model.'.

        Raises:
            ValueError: there are none.
        """
        found = {
            name.removeprefix(prefix): tensor
            for name, tensor in self.state.items()
            if name.startswith(prefix)
        }
        if not found:
            others = sorted({k.partition('.')[0] for k in self.state})
            raise ValueError(
                f'{self.path} holds no tensors whose names begin with '
                f'{prefix!r}, but {", ".join(others[:5])}'
            )
        return found

    def read_parts(
        self, unet: SpadeUNet, first_stage: KLEncoder, text_encoder: nn.Module
    ) -> dict[str, dict[str, Tensor]]:
        """Read the networks, under the names of ours.

        Args:
            unet: the denoiser.
            first_stage: the encoder of images.
            text_encoder: nothing is read for one without a tower.

        Returns:
            Tensors of 'unet', 'structure_encoder', 'first_stage' and
            'text_encoder'.

        Raises:
            ValueError: the file lacks one of them.
        """
        found = {
            'unet': unet_state(unet, self.take('model.diffusion_model.')),
            'structure_encoder': structure_state(
                self.take('structcond_stage_model.')
            ),
            'first_stage': kl_state(
                first_stage, _encoder_of(self.take('first_stage_model.'))
            ),
            'text_encoder': {},
        }
        if isinstance(text_encoder, OpenCLIPTextEncoder):
            found['text_encoder'] = name_text_tensors(
                text_encoder, self.take('cond_stage_model.model.')
            )
        return found


def read_decoder(path: Path, autoencoder: KLEncoder) -> dict[str, Tensor]:
    """Read an autoencoder, without the networks of its training.

    Args:
        path: of the file.
        autoencoder: ours.

    Returns:
        Its tensors.

    Raises:
        ValueError: the file cannot be read.
    """
    state = read_state(path)
    kept = {k: v for k, v in state.items() if not k.startswith('loss.')}
    return kl_state(autoencoder, kept)


def check_files(
    method: str, wanted: Sequence[str], paths: Sequence[Path]
) -> None:
    """Refuse another number of files than a method has.

    Args:
        method: its name.
        wanted: names of the published files.
        paths: that are given.

    Raises:
        ValueError: naming the published files.
    """
    if len(paths) != len(wanted):
        raise ValueError(
            f'{method} takes two files, {" and ".join(wanted)}, got '
            f'{len(paths)}'
        )


def _encoder_of(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k: v for k, v in state.items() if k.startswith(_ENCODER)}
