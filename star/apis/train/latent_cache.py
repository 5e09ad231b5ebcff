"""Encoding of training items, with the parts of a model that it needs."""

import copy
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn

from star.apis.inference.build import (
    build_part,
    enter_files,
    fill_random,
)
from star.apis.inference.devices import find_device
from star.apis.inference.weights import find_weights
from star.models.contracts import Autoencoder, TextEncoder
from star.models.data_preprocessor import VideoDataPreprocessor
from star.models.editors.star.random_state import ClipRandom
from star.registry import MODELS
from star.structures import VideoSample
from star.utils.state_dicts import load_strict
from star.utils.tensor_files import read_state

# parts, and the names of their files in a config's `weights`
_FILES = {'autoencoder': 'vae', 'text_encoder': 'text'}


class LatentEncoder:
    """Encodes training items to latents, and prompts to embeddings.

    Args:
        preprocessor: the model's data preprocessor.
        autoencoder: float32, on the preprocessor's device.
        text_encoder: float32.
    """

    def __init__(
        self,
        preprocessor: VideoDataPreprocessor,
        autoencoder: Autoencoder,
        text_encoder: TextEncoder,
    ) -> None:
        self.preprocessor = preprocessor
        self.autoencoder = autoencoder
        self.text_encoder = text_encoder

    @torch.no_grad()
    def encode(self, item: dict) -> VideoSample:
        """Return an item's sample with `z0` and `z_lq`, (C, T, h, w), CPU.

        Args:
            item: of a training data set: `inputs`, (T, C, h, w) uint8, and
                `data_samples`, with the ground truth.

        Raises:
            ValueError: the ground truth is missing, or its size is not that
                of the enlarged input.
        """
        sample = item['data_samples']
        if sample.gt is None:
            raise ValueError(f'{sample.name!r} has no ground truth to encode')
        data = {'inputs': [item['inputs']], 'data_samples': [sample]}
        lq = self.preprocessor(data, training=True)['inputs']
        gt = self.preprocessor.stack([sample], 'gt')
        if lq.shape != gt.shape:
            raise ValueError(
                f'{sample.name!r} is {tuple(gt.shape[2:])}, its enlarged '
                f'input {tuple(lq.shape[2:])} (frames, height, width)'
            )
        # the draws of training, so that its first epoch is the same
        posterior = [ClipRandom(sample.seed, gt.device).posterior]
        sample.z0 = self.autoencoder.encode(gt, posterior)[0].cpu()
        sample.z_lq = self.autoencoder.encode(lq, posterior)[0].cpu()
        return sample

    @torch.no_grad()
    def encode_text(self, prompt: str) -> Tensor:
        """Embed one prompt, (L, D) on the CPU."""
        return self.text_encoder([prompt])[0].cpu()


def load_encoder(
    settings: Config,
    weights: str | Path | None = None,
    device: str | torch.device | None = None,
) -> LatentEncoder:
    """Build the encoders of a model, without backbone and ControlNet.

    Args:
        settings: a training config.
        weights: None for those that the config names, from the first of
            `load_from`, the part's `pretrained`, and `start_weights` with
            `weights` that has the part; a file with the whole model; a
            folder as for `find_weights`; 'random' for random numbers, to
            measure or to try.
        device: None for a GPU if there is one.

    Raises:
        ValueError: weights are missing or do not fit.
    """
    target = find_device(device)
    settings = copy.deepcopy(settings)
    if weights == 'random':
        parts: Any = {name: build_part(settings, name) for name in _FILES}
        for part in parts.values():
            fill_random(part)
    else:
        source = weights or settings.get('load_from')
        state, _ = _find(settings, source)
        parts = {
            name: _build(settings, name, state, source is not None)
            for name in _FILES
        }
    for part in parts.values():
        part.float().to(target).eval()
    preprocessor = MODELS.build(preprocessor_config(settings)).to(target)
    return LatentEncoder(preprocessor, **parts)


def load_text_encoder(
    settings: Config,
    weights: str | Path | None = None,
    device: str | torch.device | None = None,
) -> tuple[Any, dict[str, Path]]:
    """Build a model's text encoder alone.

    Args:
        settings: a config with `model`.
        weights: as for `load_encoder`, without 'random'.
        device: as for `load_encoder`.

    Returns:
        The text encoder, and the paths of its own files by the keys of a
        config's `weights`.

    Raises:
        ValueError: weights are missing or do not fit.
    """
    settings = copy.deepcopy(settings)
    state, paths = _find(settings, weights, ('text_encoder',))
    part = _build(settings, 'text_encoder', state, weights is not None)
    own = {k: path for k, path in paths.items() if k in ('text', 'tokenizer')}
    return part.to(find_device(device)).eval(), own


def preprocessor_config(settings: Config) -> dict:
    """Return the config of a model's data preprocessor, or the default."""
    default = {'type': 'VideoDataPreprocessor'}
    return settings.model.get('data_preprocessor') or default


def _find(
    settings: Config,
    source: str | Path | None,
    names: Collection[str] = tuple(_FILES),
) -> tuple[dict[str, Tensor], dict[str, Path]]:
    """Find weights; enter the files of single parts into the config.

    Args:
        settings: of the model; changed in place.
        source: as for `load_encoder`.
        names: of the parts.

    Returns:
        The whole model's tensors, if one file holds them, and the path of
        every file.
    """
    model, known = settings.model, dict(settings.get('weights', {}))
    known |= settings.get('start_weights') or {}
    wanted = {'asset': known['asset']} if 'asset' in known else {}
    for name, key in ((name, _FILES[name]) for name in names):
        if key in known and (source or not model[name].get('pretrained')):
            wanted[key] = known[key]
            if key == 'text' and 'tokenizer' in known:
                wanted['tokenizer'] = known['tokenizer']
    paths = find_weights(wanted, source)
    enter_files(settings, paths)
    whole = paths.get('star') or paths.get('asset')
    return {} if whole is None else read_state(whole), paths


def _build(
    settings: Config, name: str, state: dict[str, Tensor], first: bool
) -> nn.Module:
    """Build a part with its own weights or those of the whole model.

    Args:
        settings: a training config.
        name: of the part.
        state: of the whole model; possibly without the part.
        first: prefer `state` to the part's `pretrained`.
    """
    part = build_part(settings, name)
    own = {
        key.removeprefix(f'{name}.'): value
        for key, value in state.items()
        if key.startswith(f'{name}.')
    }
    pretrained = settings.model[name].get('pretrained')
    if own and (first or not pretrained):
        load_strict(part, own, f'the file of the {name}')
    elif part.state_dict() and not pretrained:
        raise ValueError(
            f'no weights for the {name}: use --weights, or set '
            f'`model.{name}.pretrained`'
        )
    return part
