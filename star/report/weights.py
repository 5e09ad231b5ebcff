"""The origins of a tested method's weights, as text."""

from collections.abc import Sequence

from star.utils.results_format import MethodRecord, OriginRecord

_FILE, _RANDOM = 'file', 'random'
_WORDS = {_RANDOM: 'RANDOM numbers', 'config': 'computed by the config'}


def read_origins(method: MethodRecord) -> list[OriginRecord]:
    """Return the origins that results.json records.

    Returns:
        Nothing for a file that is older than this record.

    Raises:
        ValueError: an entry is damaged.
    """
    found = method.get('origins') or []
    for each in found:
        known = {_FILE, *_WORDS}
        lacking = OriginRecord.__required_keys__ - set(each)
        if lacking or each['kind'] not in known:
            raise ValueError(f'no origin of weights: {each}')
    return found


def describe_random(method: MethodRecord) -> str:
    """Return 'random weights', or where if in some parts; '' for none."""
    origins = read_origins(method)
    parts = [each['part'] for each in origins if _is_random(each)]
    if not parts:
        return 'random weights' if method.get('random_init') else ''
    if all(each['kind'] != _FILE for each in origins):
        return 'random weights'
    return f'random weights in {", ".join(dict.fromkeys(parts))}'


def describe_weights(method: MethodRecord) -> str:
    """Return the sources of all parts; of older results the files' names."""
    origins = _describe(read_origins(method))
    files = ', '.join(method.get('weights') or {})
    return origins or method.get('checkpoint') or files


def _describe(origins: Sequence[OriginRecord]) -> str:
    lines = []
    for each in origins:
        source = _WORDS.get(each['kind'])
        if source is None:
            source = f'{each["source"]} (SHA-256 {each["sha256"][:12]})'
        if each['parameters'] or _is_random(each):
            count = f'{each["parameters"]:,} values'
            lines.append(f'{each["part"]}: {source}, {count}')
    return '; '.join(lines)


def _is_random(origin: OriginRecord) -> bool:
    return origin['kind'] == _RANDOM and origin['tensors'] > 0
