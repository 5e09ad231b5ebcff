"""The files of a SeedVR2 release, and the community's copies of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from star.models.editors.seedvr2.dit import drop_frequencies
from star.models.editors.seedvr2.vae import rename_old
from star.utils.tensor_files import open_safetensors, read_state, read_tensor

Parts = dict[str, tuple[Path, Mapping[str, Tensor]]]
POSITIVE, NEGATIVE = 'positive', 'negative'
EMBEDDINGS = ('pos_emb.pt', 'neg_emb.pt')
# where a file of the transformer holds the embeddings, too
_CARRIED = {
    POSITIVE: 'positive_conditioning',
    NEGATIVE: 'negative_conditioning',
}


def carries_texts(path: Path) -> bool:
    """Return whether a file of the transformer holds the embeddings, too.

    Raises:
        ValueError: the file is damaged.
    """
    if path.suffix != '.safetensors' or not path.is_file():
        return False
    return open_safetensors(path).keys() >= set(_CARRIED.values())


def read_files(paths: Sequence[Path]) -> Parts:
    """Read transformer, autoencoder and embeddings.

    Args:
        paths: of the transformer, of the autoencoder, and of the embeddings
            unless the first file holds them.

    Returns:
        For 'backbone', 'autoencoder' and 'texts' the file, and tensors by the
        names of our modules.

    Raises:
        ValueError: a file is missing or cannot be read.
    """
    state = cast_up(drop_frequencies(read_state(paths[0])))
    carried = {
        ours: state.pop(name)
        for ours, name in _CARRIED.items()
        if name in state
    }
    wanted = 2 if len(carried) == len(_CARRIED) else 4
    if len(paths) not in (wanted, 4):
        raise ValueError(
            f'SeedVR2 takes {wanted} files (transformer, ema_vae.pth, '
            f'{" and ".join(EMBEDDINGS)}), got {len(paths)}'
        )
    found: Parts = {'backbone': (paths[0], state)}
    vae = rename_old(cast_up(read_state(paths[1])))
    found['autoencoder'] = paths[1], vae
    if len(paths) == 2:
        found['texts'] = paths[0], carried
    else:
        texts = map(read_tensor, paths[2:])
        pairs = zip((POSITIVE, NEGATIVE), texts, strict=True)
        found['texts'] = paths[2], dict(pairs)
    return found


def cast_up(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn numbers of 8 bits into float16, which holds them exactly."""
    return {
        name: tensor.to(torch.float16) if tensor.itemsize == 1 else tensor
        for name, tensor in state.items()
    }
