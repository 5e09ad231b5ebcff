"""Find the files of weights that a config names."""

from collections.abc import Mapping
from pathlib import Path

from mmengine.config import Config

from star.utils.weight_files import WeightFile, fetch

_FOLDERS = {
    'asset': '',
    'star': '',
    'vae': 'vae',
    'text': 'text_encoder',
    'tokenizer': 'tokenizer',
    'decoder': '',
}
_OF_TEXT = ('text', 'tokenizer', 'prompts')
RANDOM = 'random'  # the word for random numbers
# keys of a config's `weights` that are no entries of files, or of one that
# `stored_prompts.py` finds
_WORDS = ('variants', 'random', 'prompts')


def find_weights(
    wanted: Mapping, source: str | Path | None = None
) -> dict[str, Path]:
    """Find every file that a config names, downloading what is missing.

    Args:
        wanted: a config's `weights`: for each part ('star', 'vae', 'text',
            'tokenizer', 'decoder' for a small decoder) a dict of
            `WeightFile` arguments, or `asset`, the
            name of a file that ships with the package and holds the whole
            model; beside them `variants`, which maps a word to another
            'star' entry, and `random`, which has no meaning here.
        source: None for the files as named; a word of `variants`; a file
            that takes the place of 'star' or `asset`; or a folder that is
            searched first, with the layout `NAME.pt`, `vae/NAME`,
            `text_encoder/NAME` or that of the repositories.

    Returns:
        A path for each part; the part of an `asset` is 'asset'.

    Raises:
        ValueError: `source` does not exist, a file is missing and cannot be
            downloaded, or a download has another content.
    """
    variants = {
        word: WeightFile(**entry)
        for word, entry in wanted.get('variants', {}).items()
    }
    files = weight_entries(wanted)
    if source is None:
        return _download(files, {})
    if str(source) in variants:
        return _download({**files, 'star': variants[str(source)]}, {})
    path = Path(source).expanduser()
    if path.is_dir():
        return _download(files, _search(path, files, variants))
    if path.is_file():
        main = 'asset' if 'asset' in files else 'star'
        return _download(files, {main: path})
    words = ', '.join([RANDOM, *variants])
    raise _no_source(source, f', a folder or one of {words}')


def check_source(source: str | Path) -> None:
    """Refuse a file or folder that does not exist.

    Raises:
        ValueError: naming it.
    """
    if not Path(source).expanduser().exists():
        raise _no_source(source, ' or a folder')


def _no_source(source: str | Path, others: str) -> ValueError:
    return ValueError(
        f'`weights` must be a file{others}: {str(source)!r} does not exist'
    )


def start_files(config: Config, weights: str | Path | None = None) -> dict:
    """Return the files that a training starts from, for `find_weights`.

    Args:
        config: see `star.apis.train.training.start_model`.
        weights: see there.

    Returns:
        Entries by part; empty if training starts from random numbers.
    """
    if str(weights) == RANDOM:
        return {}
    own = own_files(config)
    start = config.get('start_weights')
    if weights is not None and str(weights) in own.get('variants', {}):
        return own
    own.pop('variants', None)  # their files are no start of a training
    own.pop('random', None)
    if start is not None:
        return {**own, **start}
    return own if weights is not None else {}


def own_files(config: Config) -> dict:
    """Return a config's `weights`, those of text only where it reads them.

    Args:
        config: with `model`.
    """
    own = dict(config.get('weights', {}))
    encoder = config.model.get('text_encoder') or {}
    if encoder.get('type') == 'StoredTextEncoder':
        own = {k: v for k, v in own.items() if k not in _OF_TEXT}
    return own


def weight_entries(wanted: Mapping) -> dict[str, WeightFile]:
    """Return the file of each part that a config's `weights` name.

    Args:
        wanted: as for `find_weights`.
    """
    if 'asset' in wanted:
        return {'asset': WeightFile(file=wanted['asset'])}
    return {
        part: WeightFile(**entry)
        for part, entry in wanted.items()
        if part not in _WORDS
    }


def _search(
    folder: Path,
    files: Mapping[str, WeightFile],
    variants: Mapping[str, WeightFile],
) -> dict[str, Path]:
    """Look for each part in a folder of the user."""
    found = {}
    for part, file in files.items():
        choice = [file, *(variants.values() if part == 'star' else ())]
        for path in _places(folder, part, choice):
            companions = [path.with_name(name) for name in file.beside]
            if all(p.is_file() for p in (path, *companions)):
                found[part] = path
                break
    return found


def _places(folder: Path, part: str, files: list[WeightFile]) -> list[Path]:
    """List where a part may lie: repository layout, part's folder, top."""
    places = []
    for file in files:
        names = [file.name]
        if part == 'star':
            names.append(Path(file.name).stem + '.safetensors')
        for name in names:
            inner = Path(file.file).with_name(name)
            places += [folder / inner, folder / _FOLDERS[part] / name]
            places += [folder / name]
    if _FOLDERS[part]:
        places += sorted((folder / _FOLDERS[part]).glob('*.safetensors'))
    return places


def _download(
    files: Mapping[str, WeightFile], found: dict[str, Path]
) -> dict[str, Path]:
    """Add what is not `found`; raise one error for all that is missing."""
    for part, file in files.items():
        if file.made_by and part not in found:  # before anything large comes
            place = 'its path' if part == 'star' else 'the folder that has it'
            raise ValueError(
                f'{file.name} has to be made first: `{file.made_by}`, from '
                f'{file.source}; then give --weights with {place}'
            )
    missing = []
    reasons = []
    offline = False
    for part, file in files.items():
        if part in found:
            continue
        try:
            found[part] = fetch(file, offline)
        except OSError as error:
            # without network every further attempt would cost 20 seconds
            offline = type(error).__name__ == 'LocalEntryNotFoundError'
            reasons.append(str(error).splitlines()[0])
            missing.append(_advice(part, file))
    if missing:
        lines = ['weights are missing', *missing, f'  ({reasons[0]})']
        raise ValueError('\n'.join(lines))
    return found


def _advice(part: str, file: WeightFile) -> str:
    place = Path('FOLDER') / _FOLDERS[part]
    names = ', '.join([file.name, *file.beside])
    origin = file.url or file.source or 'the package'
    if file.repo:
        origin = f'https://huggingface.co/{file.repo} ({file.file})'
    return (
        f'  {names}: from {origin}; put it into {place} and give '
        '--weights FOLDER'
    )
