"""Facts for a model card, gathered from a model's files and never guessed."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from star.apis.inference.held import resolve
from star.apis.publish.model import ModelToPublish
from star.apis.publish.options import PublishOptions
from star.utils.checkpoint_folder import STATE
from star.utils.tensor_files import read_checkpoint

# entries of a training's config that a card shows; of paths the last name
_SHOWN = {
    'train_dataloader.dataset.type': 'data set',
    'train_dataloader.dataset.data_root': 'data',
    'train_dataloader.dataset.annotation': 'list of clips',
    'train_dataloader.dataset.num_frames': 'frames of a clip',
    'train_dataloader.batch_size': 'clips of a batch, of each process',
    'optim_wrapper.optimizer.type': 'optimizer',
    'optim_wrapper.optimizer.lr': 'learning rate',
    'optim_wrapper.accumulative_counts': 'batches of a step',
    'randomness.seed': 'seed',
}
_PATHS = ('data', 'list of clips')
# licences as the hub names them
_LICENSES = {
    'Apache-2.0': 'apache-2.0',
    'BSD-3-Clause': 'bsd-3-clause',
    'MIT': 'mit',
}


@dataclass(frozen=True)
class CardFacts:
    """The facts of a model card beside the model's own config.

    Args:
        repo: 'owner/name' on the hub; 'OWNER/name' if it is not known.
        license: as the hub names it; '' if it is not known.
        license_name: what 'other' stands for.
        base_models: repositories on the hub that the model was made from.
        training: facts of the training by name; empty if there are none.
        averaged: the weights are the averages of the training's.
    """

    repo: str
    license: str
    license_name: str
    base_models: list[str]
    training: dict[str, str]
    averaged: bool


def gather_facts(
    src: Path, model: ModelToPublish, options: PublishOptions
) -> CardFacts:
    """Gather the facts of a model that its config does not have.

    Args:
        src: checkpoint or file that the model was read from.
        model: that is published.
        options: of publishing.
    """
    license, name = find_license(model.licence, options.license)
    return CardFacts(
        repo=options.repo or f'OWNER/{model.manifest["name"]}',
        license=license,
        license_name=name,
        base_models=_base_models(model),
        training=_read_training(src),
        averaged=options.averaged,
    )


def find_license(published: str, given: str | None) -> tuple[str, str]:
    """Return a licence as the hub names it.

    Args:
        published: of the method's published weights, as their authors state
            it; '' if it is not known.
        given: by the user, as the hub names it; None for `published`.

    Returns:
        The hub's name, or '' if it is not known; and for 'other' what it is.
    """
    if given is not None:
        return given, ''
    if published in _LICENSES:
        return _LICENSES[published], ''
    known = published and published != 'none stated'
    return ('other', published) if known else ('', '')


def _base_models(model: ModelToPublish) -> list[str]:
    """List the hub's repositories of the files that a model started from."""
    named: dict[str, str] = {}
    for key in ('weights', 'start_weights'):
        named |= _repositories(model.settings.get(key) or {})
    stems = [Path(o.file.name).stem for o in model.origins if o.file]
    return sorted({named[stem] for stem in stems if stem in named})


def _repositories(entries: Mapping[str, Any]) -> dict[str, str]:
    """Return the repository of each file, by its name without suffix."""
    words = entries.get('variants', {}).values()
    star = [entries['star']] if 'star' in entries else []
    return {
        PurePath(entry['file']).stem: entry['repo']
        for entry in [*star, *words]
        if 'repo' in entry
    }


def _read_training(src: Path) -> dict[str, str]:
    """Read the facts of a training from its checkpoint."""
    path = resolve(src) / STATE
    if not path.is_file():
        return {}
    state = read_checkpoint(path)
    facts = {'iterations': str(state['iteration'])}
    for key, name in _SHOWN.items():
        if key in state['config']:
            facts[name] = _shown(name, state['config'][key])
    return facts


def _shown(name: str, written: str) -> str:
    """Return a value of a flattened config; of a path its last part."""
    try:
        value = str(ast.literal_eval(written))
    except (ValueError, SyntaxError):
        value = written
    return PurePath(value).name if name in _PATHS else value
