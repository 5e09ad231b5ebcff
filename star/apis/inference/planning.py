"""Choose windows and tiles of a restoration so that it fits the memory."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from star.apis.inference.file_options import MemoryRules
from star.apis.inference.fingerprint import describe_method, plain
from star.apis.inference.journal import read_kept_key
from star.apis.inference.memory_plan import MemoryUse, predict_memory
from star.apis.inference.sidecar import sidecar_path
from star.models.contracts import Restorer
from star.models.editors.base import Baseline
from star.models.editors.star.star_model import STARModel
from star.models.restoration.options import CUTS, RestoreOptions
from star.utils.files import read_json
from star.utils.memory_limit import free_memory, memory_of_process
from star.video.tiling import both_axes

_TILES = (1024, 768, 512, 384, 256, 192, 128, 96, 64)  # output pixels
_FINE = 256  # windows become shorter before tiles are smaller than this
_MEMORIES = (256, 128, 64, 32, 16)  # MiB, of methods that stream exactly
_LARGE = (8192, 4096, 2048, 1024, 768)  # the same where more is granted
_RESERVE = 0.9  # share of the limit that a prediction may fill


@dataclass(frozen=True)
class MemoryChoice:
    """Options that fit, and what they take.

    Args:
        options: of the restoration.
        use: predicted; None where it cannot be predicted.
        limit: bytes; None where it is not known.
        changed: whether `options` are others than were asked for.
        note: what a person should know; '' for nothing.
    """

    options: RestoreOptions
    use: MemoryUse | None
    limit: int | None
    changed: bool = False
    note: str = ''


def choose_cuts(
    restorer: Restorer,
    options: RestoreOptions,
    clip: tuple[int | None, int, int],
    codec: str,
    rules: MemoryRules,
) -> MemoryChoice:
    """Choose windows and tiles that fit; the options' own if they do.

    Args:
        restorer: with its weights, on its device; nothing is chosen for one
            from outside.
        options: of the restoration.
        clip: frames (None if unknown), height and width of the input.
        codec: FFmpeg's name of the encoder; '' for pictures.
        rules: of the choice.

    Returns:
        The first that fits of `smaller_options`; where the user has set a
        limit, of `larger_options` before.

    Raises:
        ValueError: nothing fits the limit that the user has set.
    """
    limit = rules.limit or find_limit(restorer, rules.share)
    if not isinstance(restorer, STARModel | Baseline):
        return MemoryChoice(options, None, limit)

    def predict(tried: RestoreOptions) -> MemoryUse:
        return predict_memory(restorer, tried, clip, codec)

    try:
        own = predict(options)
    except ValueError:  # as the restoration itself would say
        raise
    except Exception as error:  # what is not made to run on shapes
        why = f'memory cannot be predicted: {error}'.splitlines()[0]
        return MemoryChoice(options, None, limit, note=why)
    if limit is None or own.peak <= limit * _RESERVE:
        more = larger_options(restorer, options) if rules.limit else ()
        tried = ((larger, predict(larger)) for larger in more)
        most = (limit or 0) * _RESERVE
        fits = (each for each in tried if each[1].peak <= most)
        return MemoryChoice(*next(fits, (options, own)), limit)
    ladder = [*smaller_options(restorer, options, clip[1:], rules.fixed)]
    found, use = _find_first(ladder, own, predict, limit)
    changed = found != options
    if use.peak <= limit * _RESERVE:
        return MemoryChoice(found, use, limit, changed)
    message = (
        f'{write_bytes(limit)} of memory are too little: the smallest plan '
        f'({describe_cuts(restorer, found)}) needs '
        f'{write_bytes(use.peak / _RESERVE)}'
    )
    if rules.limit:
        raise ValueError(f'--memory: {message}')
    return MemoryChoice(found, use, limit, changed, message)


def _find_first(
    ladder: list[RestoreOptions],
    own: MemoryUse,
    predict: Callable[[RestoreOptions], MemoryUse],
    limit: int,
) -> tuple[RestoreOptions, MemoryUse]:
    """Find the first options that fit, or else the smallest.

    Args:
        ladder: options that need less and less; the first do not fit.
        own: what the first ones take.
        predict: predicts what options take.
        limit: bytes.
    """
    known: dict[int, MemoryUse | None] = {0: own}

    def use_of(place: int) -> MemoryUse | None:
        if place not in known:
            known[place] = None  # tiles that do not fit the network
            with suppress(ValueError):
                known[place] = predict(ladder[place])
        return known[place]

    last = len(ladder) - 1
    while use_of(last) is None:
        last -= 1
    low, high = 0, last  # `low` does not fit
    while high - low > 1:
        middle = (low + high) // 2
        use = use_of(middle)
        if use is not None and use.peak <= limit * _RESERVE:
            high = middle
        else:
            low = middle
    use = use_of(high)
    assert use is not None
    return ladder[high], use


def find_limit(restorer: Restorer, share: int = 1) -> int | None:
    """Return the bytes that a restoration may take in all; None if unknown.

    Args:
        restorer: on its device.
        share: processes that share the free memory of a CPU.
    """
    device = next(restorer.parameters(), torch.empty(0)).device
    free = free_memory(device)
    if free is None:
        return None
    if device.type == 'cuda':
        return free + torch.cuda.memory_allocated(device)
    return free // share + memory_of_process()


def smaller_options(
    restorer: Restorer,
    options: RestoreOptions,
    size: tuple[int, int],
    fixed: tuple[str, ...] = (),
    keep_overlap: bool = False,
) -> Iterator[RestoreOptions]:
    """Yield options, and others that need less and less memory.

    Tiles become smaller first, then windows, then tiles again. A method whose
    result does not depend on how it is cut gets less memory for its
    activations.

    Args:
        restorer: of the clip.
        options: of the restoration.
        size: height and width of the input.
        fixed: names of options that stay as they are.
        keep_overlap: windows share the same frames, so that a clip can go on
            with other windows.
    """
    yield options
    free = restorer.options_used - set(fixed)
    if is_exact(restorer, options):
        for memory in _MEMORIES if 'memory' in free else ():
            if not options.memory or memory < options.memory:
                yield replace(options, memory=memory)
        return
    if keep_overlap:
        free -= {'overlap'}
    tiles = list(_tiles(options, size)) if 'tile' in free else [options.tile]
    windows = list(_windows(restorer, options, free))
    fine = [tile for tile in tiles[1:] if max(both_axes(tile)) < _FINE]
    coarse = tiles[: len(tiles) - len(fine)]
    cuts = [
        *((windows[0], tile) for tile in coarse),
        *((window, coarse[-1]) for window in windows[1:]),
        *((windows[-1], tile) for tile in fine),
    ]
    for cut in cuts[1:]:
        with suppress(ValueError):  # it cannot be cut so
            yield _cut(restorer, options, cut, free)


def larger_options(
    restorer: Restorer, options: RestoreOptions
) -> Iterator[RestoreOptions]:
    """Yield options that may take more memory than usual, and less time.

    There are some only for a method whose result does not depend on how it is
    cut.
    """
    named = 'memory' in restorer.options_used and not options.memory
    if named and is_exact(restorer, options):
        yield from (replace(options, memory=memory) for memory in _LARGE)


def is_exact(restorer: Restorer, options: RestoreOptions) -> bool:
    """Return whether a result does not depend on how a clip is cut."""
    exact = getattr(restorer, 'is_exact', None)
    return exact is not None and exact(options)


def _cut(
    restorer: Restorer,
    options: RestoreOptions,
    cut: tuple[int, Any],
    free: frozenset[str],
) -> RestoreOptions:
    """Return options with a window and a tile, and overlaps that fit."""
    window, tile = cut
    overlap, shared = options.overlap, options.tile_overlap
    if 'overlap' in free:
        overlap = min(overlap, restorer.overlap_for(window))
    if tile and 'tile_overlap' in free:
        shared = min(shared, min(both_axes(tile)) // 2)
    found = replace(
        options,
        window=window,
        overlap=overlap,
        tile=tile,
        tile_overlap=shared,
    )
    restorer.check_options(found)
    return found


def _tiles(options: RestoreOptions, size: tuple[int, int]) -> Iterator[Any]:
    """List tiles, the own ones first."""
    yield options.tile
    whole = max(round(side * options.scale) for side in size)
    most = max(both_axes(options.tile)) if options.tile else whole
    yield from (tile for tile in _TILES if tile < most)


def _windows(
    restorer: Restorer, options: RestoreOptions, free: frozenset[str]
) -> Iterator[int]:
    """List windows, the own one first; each is half the one before.

    Those that the restorer refuses are left out.
    """
    yield options.window
    if 'window' not in free:
        return
    least = 2 if 'overlap' in free else options.overlap + 1
    autoencoder = getattr(restorer, 'autoencoder', None)
    ratio = getattr(autoencoder, 'temporal_downsample', 1)
    window = options.window
    while True:
        smaller = window // 2 // ratio * ratio + (ratio > 1)
        if not least <= smaller < window:
            return
        window = smaller
        with suppress(ValueError):
            cut = _cut(restorer, options, (window, options.tile), free)
            yield cut.window


def earlier_cuts(
    restorer: Restorer,
    options: RestoreOptions,
    dst: Path,
    rules: MemoryRules,
) -> RestoreOptions | None:
    """Return the options of an earlier run that only chose other cuts.

    Its pieces can be used with these alone.

    Args:
        restorer: of the clip.
        options: that the user asks for.
        dst: the result.
        rules: whose `fixed` options are never taken from an earlier run.

    Returns:
        None where there is no such run.
    """
    own = plain(describe_method(restorer, options))
    free = {*(restorer.options_used & CUTS)} - set(rules.fixed)
    for key in (read_kept_key(dst), _key_of_result(dst)):
        cuts = key.get('options')
        if not isinstance(cuts, Mapping):
            continue
        known = {name: cuts[name] for name in free if name in cuts}
        taken = {**own, 'options': {**own['options'], **known}}
        if known and all(key.get(name) == taken[name] for name in taken):
            values = {n: from_json(v) for n, v in known.items()}
            found = replace(options, **values)
            return None if found == options else found
    return None


def describe_cuts(restorer: Restorer, options: RestoreOptions) -> str:
    """Return the windows and tiles of a restoration in a few words."""
    if is_exact(restorer, options):
        return 'streamed'
    used = restorer.options_used
    words = []
    if 'window' in used:
        words.append(f'--window {options.window}')
    if 'tile' in used:
        sides = both_axes(options.tile) if options.tile else (0, 0)
        tile = 'x'.join(map(str, dict.fromkeys(sides)))
        words.append(f'--tile {tile}')
    return ' '.join(words) or 'frame by frame'


def _key_of_result(dst: Path) -> Mapping[str, Any]:
    with suppress(ValueError, OSError, KeyError, TypeError):
        key = read_json(sidecar_path(dst))['key']
        if isinstance(key, Mapping):
            return key
    return {}


def from_json(value: Any) -> Any:
    """Return a kept option as it was: JSON has lists for tuples."""
    return tuple(value) if isinstance(value, list) else value


def write_bytes(number: float) -> str:
    """Write bytes as GB with two places, or as MB."""
    if number < 10**8:
        return f'{number / 10**6:.0f} MB'
    return f'{number / 10**9:.2f} GB'
