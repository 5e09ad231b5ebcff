"""Find, download and verify the files of weights that a config names."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TypeVar

from star.utils.files import verify_sha256
from star.utils.paths import asset_path

AnyPath = TypeVar('AnyPath', bound=PurePath)
_FOLDERS = {
    'asset': '',
    'star': '',
    'vae': 'vae',
    'text': 'text_encoder',
    'tokenizer': 'tokenizer',
}
# what a config's `weights` may hold besides entries of files
_WORDS = ('variants', 'random')


@dataclass(frozen=True)
class WeightFile:
    """One file of weights and where it comes from.

    Args:
        file: its path within the repository, or within `star/assets`.
        repo: repository on the Hugging Face hub; empty for a file that
            ships with the package or has to be made.
        sha256: of its content; empty where unknown.
        beside: names of further files that must lie in the same folder.
        made_by: the command that makes the file; empty for one that is
            published as it is.
        made_from: where to get what that command reads.
    """

    file: str
    repo: str = ''
    sha256: str = ''
    beside: tuple[str, ...] = ()
    made_by: str = ''
    made_from: str = ''

    @property
    def name(self) -> str:
        """The last part of `file`."""
        return Path(self.file).name


def find_weights(
    wanted: Mapping, source: str | Path | None = None
) -> dict[str, Path]:
    """Find every file that a config names, downloading what is missing.

    Args:
        wanted: a config's `weights`: for each part ('star', 'vae', 'text',
            'tokenizer') a dict of `WeightFile` arguments, or `asset`, the
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
            downloaded, or a download is not what it should be.
    """
    variants = {
        word: WeightFile(**entry)
        for word, entry in wanted.get('variants', {}).items()
    }
    files = _entries(wanted)
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
    words = ', '.join(['random', *variants])
    raise ValueError(
        f'`weights` must be a file, a folder or one of {words}: '
        f'{str(source)!r} does not exist'
    )


def find_local(file: WeightFile) -> Path | None:
    """Find a file without downloading it; None where it is not here."""
    if file.made_by:
        return None
    if not file.repo:
        return asset_path(file.file)
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(file.repo, file.file)
    return Path(path) if isinstance(path, str) else None


def _entries(wanted: Mapping) -> dict[str, WeightFile]:
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
            if all(p.is_file() for p in _with_companions(path, file)):
                found[part] = path
                break
    return found


def _with_companions(path: AnyPath, file: WeightFile) -> list[AnyPath]:
    return [path, *(path.with_name(name) for name in file.beside)]


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
            raise ValueError(
                f'{file.name} has to be made first: `{file.made_by}`, from '
                f'{file.made_from}; then give --weights with its path'
            )
    missing = []
    reasons = []
    offline = False
    for part, file in files.items():
        if part in found:
            continue
        try:
            found[part] = _fetch(file, offline)
        except OSError as error:
            # without network every further attempt would cost 20 seconds
            offline = type(error).__name__ == 'LocalEntryNotFoundError'
            reasons.append(str(error).splitlines()[0])
            missing.append(_advice(part, file))
    if missing:
        lines = ['weights are missing', *missing, f'  ({reasons[0]})']
        raise ValueError('\n'.join(lines))
    return found


def _fetch(file: WeightFile, offline: bool) -> Path:
    """Return the path of a shipped or a downloaded and verified file."""
    if not file.repo:
        return asset_path(file.file)
    from huggingface_hub import hf_hub_download

    names = [
        path.as_posix() for path in _with_companions(Path(file.file), file)
    ]
    path, *_ = [
        Path(hf_hub_download(file.repo, name, local_files_only=offline))
        for name in names
    ]
    if file.sha256:
        verify_sha256(path, file.sha256)
    return path


def _advice(part: str, file: WeightFile) -> str:
    place = Path('FOLDER') / _FOLDERS[part]
    names = ', '.join([file.name, *file.beside])
    return (
        f'  {names}: from https://huggingface.co/{file.repo} '
        f'({file.file}); put it into {place} and give --weights FOLDER'
    )
