"""Read a model that is to be published: tensors, config, what it lacks."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from torch import Tensor, nn

from star import __version__
from star.apis.inference.baselines import names_files
from star.apis.inference.build import build_model, load_config, on_meta
from star.apis.inference.held import Held, read_held
from star.apis.inference.load import Source, load_model
from star.apis.inference.model_files import prefixes_of
from star.apis.inference.published import FORMAT, check_name
from star.apis.inference.published_data import (
    check_entries,
    check_model,
    plain_model,
)
from star.apis.publish.options import PublishOptions
from star.apis.publish.weights import (
    describe_lacking,
    gather,
    lacking_files,
    own_config,
)
from star.registry import MODELS
from star.utils.origins import Origin, record_of
from star.utils.state_dicts import find_misfits
from star.utils.tensor_files import read_notes, read_state

_TRAINING = 'objective.'  # buffers of losses
_SOURCES = {'STARModel': 'https://arxiv.org/abs/2501.02976'}


@dataclass(frozen=True)
class ModelToPublish:
    """All that is known of a model that is to be published.

    Args:
        state: tensors by name.
        notes: texts for the header of their file.
        manifest: content of `config.json` but for the file of weights.
        parts: names of the model's parts that the file has.
        settings: the config that the model was read from.
        digests: SHA-256 of the files that it was read from.
        origins: where its weights came from before.
        licence: of the method's published weights; empty if not known.
        source: paper and repository of the method; empty if not known.
    """

    state: dict[str, Tensor]
    notes: dict[str, str]
    manifest: dict[str, Any]
    parts: list[str]
    settings: Config
    digests: frozenset[str]
    origins: tuple[Origin, ...] = ()
    licence: str = ''
    source: str = ''


def read_model(
    src: Path, name: str, options: PublishOptions
) -> ModelToPublish:
    """Read a model that others shall be able to build.

    Args:
        src: as for `publish_model`.
        name: of the model where `options` name no config.
        options: of publishing.

    Raises:
        ValueError: the weights do not fit the config or are not whole, or
            the config needs more than registered types.
    """
    name = Path(options.config).stem if options.config else name
    check_name(name, '`config`' if options.config else '`dst`')
    settings = load_config(own_config(src, options))
    model = plain_model(settings.model.to_dict())
    check_model(model, f'the config of {src}')
    manifest = {
        'library_name': 'star-vsr',
        'format': FORMAT,
        'version': __version__,
        'name': name,
        'model': model,
    }
    plain = Config({'model': model}, filename=settings.filename)
    if names_files(settings):
        return _read_baseline(src, plain, manifest, options)
    return _read_star(src, plain, settings, manifest, options)


def _read_baseline(
    src: Path,
    plain: Config,
    manifest: dict[str, Any],
    options: PublishOptions,
) -> ModelToPublish:
    """Read the one file of a method that names its files."""
    model: Any = load_model(plain, Source(src))
    kind: Any = MODELS.get(plain.model.type)
    state = read_state(src, getattr(kind, 'wrappers', ()))
    if options.half:
        state = {name: tensor.half() for name, tensor in state.items()}
    parts = [
        name
        for name, part in model.named_children()
        if any(True for _ in part.parameters())
    ]
    record = record_of(model)
    digests = frozenset(file.sha256 for file in record.files)
    state = {name: tensor.contiguous() for name, tensor in state.items()}
    notes = {k: v for k, v in read_notes(src).items() if k != 'format'}
    return ModelToPublish(
        state,
        notes,
        manifest,
        parts,
        plain,
        digests,
        licence=model.recipe.licence,
        source=model.recipe.source,
    )


def _read_star(
    src: Path,
    plain: Config,
    settings: Config,
    manifest: dict[str, Any],
    options: PublishOptions,
) -> ModelToPublish:
    """Read a checkpoint; parts with files of their own may stay there."""
    held = read_held(src, options.averaged)
    state = {
        name: tensor
        for name, tensor in gather(src, held, options).items()
        if not name.startswith(_TRAINING)
    }
    with on_meta():
        model = build_model(plain)
    wanted = _wanted(model, settings, held, state)
    check_entries(wanted, f'the config of {src}')
    _check_whole(src, model, state, wanted)
    manifest = {**manifest, 'weights': wanted}
    parts = sorted({name.partition('.')[0] for name in state})
    return ModelToPublish(
        state,
        describe_lacking(held, state),
        manifest,
        parts,
        settings,
        frozenset(file.sha256 for file in held.files),
        tuple(held.record.origins) if held.record else (),
        source=_SOURCES.get(plain.model.type, ''),
    )


def _wanted(
    model: nn.Module,
    settings: Config,
    held: Held,
    state: Collection[str],
) -> dict[str, Any]:
    """Return the config's entries of the files that are needed besides.

    A tokenizer lies beside the text encoder or has an entry of its own.
    """
    entries = {**settings.get('weights', {}), **_start(settings)}
    digests = {f.slot: f.sha256 for f in lacking_files(held, state)}
    lacking = model.state_dict().keys() - state
    wanted = {}
    for slot in ('vae', 'text', 'tokenizer'):
        starts = prefixes_of(model, 'text' if slot == 'tokenizer' else slot)
        if slot in entries and any(n.startswith(starts) for n in lacking):
            entry = {**entries[slot], 'sha256': digests.get(slot)}
            wanted[slot] = {k: v for k, v in entry.items() if v}
    return wanted


def _start(settings: Config) -> Mapping[str, Any]:
    return settings.get('start_weights') or {}


def _check_whole(
    src: Path,
    model: nn.Module,
    state: Mapping[str, Tensor],
    wanted: Mapping[str, Any],
) -> None:
    """Refuse tensors that do not fit, and parts that nothing has."""
    own = model.state_dict()
    covered = tuple(p for slot in wanted for p in prefixes_of(model, slot))
    needed = {n for n in own if not covered or not n.startswith(covered)}
    misfits = find_misfits(own, state, needed)
    if misfits:
        raise ValueError(
            f'{src} does not fit its config, tensors: {misfits}; name the '
            'config with --config, the autoencoder with --vae'
        )
