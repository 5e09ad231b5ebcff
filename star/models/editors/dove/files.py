"""The files of a release of DOVE: a pipeline's folder, and a cached prompt.

A release is a folder as diffusers writes it, of which `transformer` and `vae`
are read. The embedding of the empty prompt lies in the authors' repository,
in `pretrained_models/prompt_embeddings`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from star.utils.tensor_files import open_folder, read_state

WEIGHTS = (
    'dove_transformer.safetensors',
    'dove_vae.safetensors',
    'dove_prompt.safetensors',
)
_INDEX = '.safetensors.index.json'


def read_release(
    paths: Sequence[Path],
) -> dict[str, tuple[Path, Mapping[str, Tensor]]]:
    """Read the files of a release.

    Args:
        paths: of the transformer (a file, or the index of several), of the
            autoencoder, and of the prompt's embedding.

    Returns:
        For each part of the method the file and its tensors.

    Raises:
        ValueError: a file is missing or cannot be read.
    """
    if len(paths) != len(WEIGHTS):
        raise ValueError(
            '`weights` must name three files of DOVE, transformer, '
            f'autoencoder and prompt, got {len(paths)}'
        )
    transformer, vae, prompt = paths
    vae_state = {f'vae.{k}': v for k, v in read_state(vae).items()}
    return {
        'backbone.transformer': (transformer, _read_shards(transformer)),
        'autoencoder': (vae, vae_state),
        'backbone.prompt': (prompt, read_state(prompt)),
    }


def _read_shards(path: Path) -> dict[str, Tensor]:
    """Read a file, or all files that an index lists."""
    if not path.name.endswith(_INDEX):
        return read_state(path)
    stem = path.name.removesuffix(_INDEX)
    found = open_folder(path.parent, stem)
    return {name: tensor.read() for name, tensor in found.items()}
