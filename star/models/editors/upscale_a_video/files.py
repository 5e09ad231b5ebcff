"""The files of a release of Upscale-A-Video: networks and texts.

A release is a folder: `unet/unet_video.bin`, `vae/vae_3d.bin`,
`vae/vae_video.bin`, `propagator/raft-things.pth`, and, as diffusers writes
them, `text_encoder`, `tokenizer`, `scheduler` and `low_res_scheduler`.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from star.models.autoencoders.uav_vae import UAVVAE
from star.models.editors.upscale_a_video.sampling import (
    SCHEDULER,
    plan_steps,
    signal_shares,
)
from star.models.editors.weight_files import FILES
from star.models.layers.raft import name_raft_tensors
from star.models.text_encoders.open_clip import (
    OpenCLIPTextEncoder,
    name_text_tensors,
)
from star.utils.tensor_files import read_state

Parts = dict[str, tuple[Path, Mapping[str, Tensor]]]
SCHEDULER_TEXT, LQ_SCHEDULER_TEXT = 'star.scheduler', 'star.low_res_scheduler'
VOCAB, MERGES, PAD = 'star.vocab', 'star.merges', 'star.pad_token'
# keys of a converted file's texts
TEXTS = (SCHEDULER_TEXT, LQ_SCHEDULER_TEXT, VOCAB, MERGES, PAD)
_SCHEDULERS = {
    SCHEDULER_TEXT: 'scheduler/scheduler_config.json',
    LQ_SCHEDULER_TEXT: 'low_res_scheduler/scheduler_config.json',
}
_VOCABULARY = {VOCAB: 'tokenizer/vocab.json', MERGES: 'tokenizer/merges.txt'}
# may name the padding; the first that does counts, as in transformers
_PADDING = ('special_tokens_map.json', 'tokenizer_config.json')
_FOLDERS = ('unet', 'vae', 'text_encoder', 'propagator')
# what diffusers takes where a scheduler's file does not say
_DEFAULTS: dict[str, Any] = {
    'num_train_timesteps': 1000,
    'beta_start': 0.0001,
    'beta_end': 0.02,
    'beta_schedule': 'linear',
    'clip_sample': True,
    'set_alpha_to_one': True,
    'steps_offset': 0,
    'prediction_type': 'epsilon',
}
_NUMBERS = ('beta_start', 'beta_end')
_COUNTS = ('num_train_timesteps', 'steps_offset')


def choose_files(
    vae: Mapping[str, Any], text: Mapping[str, Any], has_flow: bool
) -> list[str]:
    """List the published files that a configuration needs.

    Args:
        vae: config of the autoencoder.
        text: config of the text encoder.
        has_flow: whether there is a flow network.
    """
    has_tower = text['type'] == OpenCLIPTextEncoder.__name__
    files = ['unet_video.bin']
    files.append('vae_video.bin' if vae.get('video') else 'vae_3d.bin')
    files += ['upscale_a_video_text_encoder.bin'] * has_tower
    return files + ['raft-things.pth'] * has_flow


def read_networks(
    paths: Sequence[Path],
    vae: UAVVAE,
    text_encoder: nn.Module,
    with_flow: bool = False,
) -> Parts:
    """Read the tensors of a release's networks.

    Args:
        paths: files of denoiser and autoencoder, then that of the text
            encoder if it has weights, then that of the flow network.
        vae: the autoencoder that is to be filled.
        text_encoder: the text encoder.
        with_flow: whether there is a flow network.

    Returns:
        For 'unet', 'vae', 'text_encoder' and 'raft' the file, and tensors by
        the names of our networks.

    Raises:
        ValueError: a file is missing, cannot be read, or holds an encoder of
            another size.
    """
    has_tower = isinstance(text_encoder, OpenCLIPTextEncoder)
    wanted = ['unet', 'vae']
    wanted += ['text_encoder'] * has_tower + ['raft'] * with_flow
    if len(paths) != len(wanted):
        raise ValueError(
            f'`weights` must name {len(wanted)} files of Upscale-A-Video, '
            f'{", ".join(wanted)}, got {len(paths)}'
        )
    files = dict(zip(wanted, paths, strict=True))
    found: Parts = {'unet': (files['unet'], read_state(files['unet']))}
    state = vae.take_names(read_state(files['vae']), files['vae'])
    found['vae'] = files['vae'], state
    found['text_encoder'] = files['unet'], {}
    if isinstance(text_encoder, OpenCLIPTextEncoder):
        tower = read_state(files['text_encoder'])
        state = name_text_tensors(text_encoder, tower)
        found['text_encoder'] = files['text_encoder'], state
    if with_flow:
        flow = name_raft_tensors(read_state(files['raft']))
        found['raft'] = files['raft'], flow
    return found


def read_texts(path: Path, text_encoder: nn.Module) -> dict[str, str]:
    """Read what a release holds beside its networks.

    Args:
        path: of one of its networks, in its folder of the release or beside
            the other folders.
        text_encoder: if it has a tokenizer, that is read as well.

    Returns:
        Texts for the header of a converted file: both schedulers, and the
        tokenizer's vocabulary, merges and padding.

    Raises:
        ValueError: a file is missing; the message says where it belongs.
    """
    with_tokenizer = isinstance(text_encoder, OpenCLIPTextEncoder)
    root = path.parent
    if root.name in _FOLDERS:
        root = root.parent
    wanted = _SCHEDULERS | (_VOCABULARY if with_tokenizer else {})
    missing = [name for name in wanted.values() if not (root / name).is_file()]
    if missing:
        source = FILES['unet_video.bin'].source.partition(' ')[0]
        raise ValueError(
            f'`weights`: {", ".join(missing)} not found in {root}; get the '
            f'release from {source} and keep its folders'
        )
    texts = {
        key: (root / name).read_text('utf-8') for key, name in wanted.items()
    }
    pad = _find_padding(root / 'tokenizer') if with_tokenizer else None
    return texts if pad is None else {**texts, PAD: pad}


def read_schedulers(texts: Mapping[str, str]) -> list[dict[str, Any]]:
    """Read the settings of both schedulers.

    Args:
        texts: from `read_texts`, or the header of a converted file.

    Returns:
        Those of the latents and of the low-quality clip; the x4 upscaler's
        where there is no text.

    Raises:
        ValueError: as for `read_scheduler`, or the method is not made for
            such a scheduler.
    """
    found = [
        read_scheduler(texts[key], key) if key in texts else dict(SCHEDULER)
        for key in (SCHEDULER_TEXT, LQ_SCHEDULER_TEXT)
    ]
    plan_steps(1, found[0])
    signal_shares(found[1])
    return found


def read_scheduler(text: str, name: str = SCHEDULER_TEXT) -> dict[str, Any]:
    """Read the settings of a scheduler of diffusers.

    Args:
        text: JSON.
        name: of it, for the message.

    Returns:
        The settings that matter; diffusers' own where the text has none.

    Raises:
        ValueError: it is no JSON object, holds a wrong value, or a table of
            betas.
    """
    try:
        given = json.loads(text)
    except ValueError as error:
        raise ValueError(f'{name}: not JSON ({error})') from None
    if not isinstance(given, dict):
        raise ValueError(f'{name}: not an object of settings')
    found = {key: given.get(key, value) for key, value in _DEFAULTS.items()}
    if given.get('trained_betas') is not None:
        raise ValueError(f'{name}: `trained_betas` are not supported')
    for key in (*_NUMBERS, *_COUNTS):
        kinds = (int, float) if key in _NUMBERS else int
        if not isinstance(found[key], kinds) or found[key] < 0:
            raise ValueError(
                f'{name}: `{key}` must be a number of 0 or more, got '
                f'{found[key]!r}'
            )
    return found


def take_vocabulary(text_encoder: nn.Module, texts: Mapping[str, str]) -> None:
    """Give the text encoder the tokenizer of a release, if it has one.

    Args:
        text_encoder: one with a tokenizer, or another.
        texts: from `read_texts`, or the header of a converted file.
    """
    if isinstance(text_encoder, OpenCLIPTextEncoder) and VOCAB in texts:
        text_encoder.take_vocabulary(
            texts[VOCAB], texts[MERGES], texts.get(PAD)
        )


def _find_padding(folder: Path) -> str | None:
    """Return the token that fills prompts up; None if no file names it."""
    for name in _PADDING:
        if not (folder / name).is_file():
            continue
        try:
            token = json.loads((folder / name).read_text('utf-8'))['pad_token']
        except (ValueError, KeyError, TypeError):
            continue
        token = token.get('content') if isinstance(token, dict) else token
        if isinstance(token, str):
            return token
    return None
