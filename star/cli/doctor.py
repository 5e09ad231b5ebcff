"""Show what is installed: `star doctor`. Works where much is missing."""

import argparse
import json
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from star import __version__
from star.cli.common import DONE, INCOMPLETE, INSTALL, say

PACKAGE = 'star-vsr'
# what restoring imports; any of them can be installed and still be broken
_WEIGHTS = 'star.cli.weights'
_MODULES = ('torch', 'cv2', 'av', 'mmengine', 'mmcv', _WEIGHTS)
_ENCODERS = {
    'libx264': 'H.264, the default',
    'libx265': 'H.265',
    'libsvtav1': 'AV1',
    'libaom-av1': 'AV1',
    'ffv1': 'lossless',
    'prores_ks': 'ProRes',
    'png': 'folders of images',
}
_EXTRA = re.compile('extra == .(\\w+)')
_OTHER_ENCODER = 'this build of PyAV lacks it: give another --codec'


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for.

    Args:
        name: of it.
        found: version, size or place; None where it is missing.
        hint: what to do where it is missing.
    """

    name: str
    found: str | None
    hint: str = ''


def run(args: argparse.Namespace) -> int:
    """Print the findings and return the exit code."""
    broken = [*find_broken()]
    findings: dict[str, list[Finding]] = {}
    for name, find in _SECTIONS.items():
        try:
            findings[name] = [*find()]
        except Exception as error:  # whatever a broken library raises
            broken.append(f'{name} cannot be listed: {first_line(error)}')
    if args.json:
        table = {k: [asdict(f) for f in v] for k, v in findings.items()}
        print(json.dumps({**table, 'broken': broken}, indent=2))
    else:
        show(findings)
    for problem in broken:
        say(f'broken: {problem}')
    return INCOMPLETE if broken else DONE


def show(findings: dict[str, list[Finding]]) -> None:
    """Print findings as a table for people."""
    for title, found in findings.items():
        print(title)
        width = max((len(each.name) for each in found), default=0)
        for each in found:
            hint = f': {each.hint}' if each.hint else ''
            text = f'missing{hint}' if each.found is None else each.found
            print(f'  {each.name:{width}}  {text}')


def find_broken() -> Iterator[str]:
    """List what keeps the package from working, a line for each."""
    for requirement in requirements():
        if requirement.marker and not requirement.marker.evaluate():
            continue
        version = version_of(requirement.name)
        if version is None:
            yield f'{requirement.name} is missing: {INSTALL}'
        elif not requirement.specifier.contains(version, prereleases=True):
            yield f'{requirement} is needed, {version} is here: {INSTALL}'
    for name in _MODULES:
        try:
            import_module(name)
        except Exception as error:  # whatever a broken library raises
            yield f'{name} cannot be imported: {first_line(error)}'


def requirements() -> list[Any]:
    """Read what the installed package requires, extras included."""
    try:
        from packaging.requirements import Requirement

        return [Requirement(text) for text in metadata.requires(PACKAGE) or ()]
    except (ImportError, metadata.PackageNotFoundError):
        return []


def version_of(name: str) -> str | None:
    """Return the version of an installed distribution, None without it."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def find_versions() -> Iterator[Finding]:
    """List versions of Python, this package and what it requires."""
    system = f'{platform.system()} {platform.machine()}'
    yield Finding('python', f'{platform.python_version()}, {system}')
    where = Path(__file__).resolve().parent.parent
    yield Finding('star', f'{__version__}, {where}')
    for name in (
        *('torch', 'torchvision', 'mmengine', 'mmcv-lite', 'diffusers'),
        *('transformers', 'opencv-python', 'av'),
    ):
        yield Finding(name, version_of(name), INSTALL)
    ffmpeg = getattr(loaded('av'), 'ffmpeg_version_info', None)
    yield Finding('FFmpeg', ffmpeg, 'it comes with av: ' + INSTALL)


def find_devices() -> Iterator[Finding]:
    """List processors with their free memory."""
    yield Finding('cpu', f'{os.cpu_count()} cores, {free_memory()}')
    torch = loaded('torch')
    if torch is None:
        return
    for i in range(torch.cuda.device_count()):
        name = torch.cuda.get_device_name(i)
        text = f'{name}, {memory(*torch.cuda.mem_get_info(i))}'
        yield Finding(f'cuda:{i}', text)
    if torch.backends.mps.is_available():
        limit = torch.mps.recommended_max_memory()
        free = limit - torch.mps.driver_allocated_memory()
        yield Finding('mps', memory(free, limit))
    elif not torch.cuda.device_count():
        hint = 'torch finds none; on the CPU only small models are fast'
        yield Finding('GPU', None, hint)


def free_memory() -> str:
    """Describe the free memory of the system, as far as it is known."""
    path = Path('/proc/meminfo')
    if path.is_file():
        lines = path.read_text(encoding='utf-8').splitlines()
        kib = {line.split(':')[0]: int(line.split()[1]) for line in lines}
        return memory(1024 * kib['MemAvailable'], 1024 * kib['MemTotal'])
    if 'SC_PHYS_PAGES' in getattr(os, 'sysconf_names', ()):
        size = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
        return f'{size / 2**30:.1f} GiB of memory'
    return 'memory unknown'


def memory(free: int, total: int) -> str:
    """Write free and total memory for people."""
    return f'{free / 2**30:.1f} of {total / 2**30:.1f} GiB free'


def find_encoders() -> Iterator[Finding]:
    """List the encoders for --codec."""
    av = loaded('av')
    for name, use in _ENCODERS.items():
        try:
            found = None if av is None else av.codec.Codec(name, 'w').name
        except ValueError:
            found = None
        yield Finding(name, found and use, _OTHER_ENCODER)


def find_extras() -> Iterator[Finding]:
    """List the extras of the package and what each of them lacks."""
    groups: dict[str, list[str]] = {}
    for requirement in requirements():
        match = _EXTRA.search(str(requirement.marker))
        if match is not None and match[1] != 'all':
            groups.setdefault(match[1], []).append(requirement.name)
    for extra, names in groups.items():
        missing = [name for name in names if version_of(name) is None]
        hint = f'{", ".join(missing)}; pip install "{PACKAGE}[{extra}]"'
        yield Finding(extra, None if missing else ', '.join(names), hint)


def find_weights() -> Iterator[Finding]:
    """List the weights that configs, baselines and metrics name."""
    module = loaded(_WEIGHTS)
    for name, path, hint in module.list_weights() if module else []:
        yield Finding(name, None if path is None else str(path), hint)


_SECTIONS: dict[str, Callable[[], Iterator[Finding]]] = {
    'versions': find_versions,
    'devices': find_devices,
    'FFmpeg encoders': find_encoders,
    'extras': find_extras,
    'weights': find_weights,
}


def loaded(name: str) -> Any:
    """Return a module that could be imported, or None."""
    return sys.modules.get(name)


def first_line(error: BaseException) -> str:
    """Reduce an error to its kind and its first line."""
    lines = str(error).strip().splitlines()
    return ': '.join([type(error).__name__, *lines[:1]])
