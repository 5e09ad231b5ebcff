"""The rules by which a record of trust warns, in words for anyone."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from statistics import median
from typing import Any

# Measured on six real clips with four methods that work, and with random
# weights: PSNR 25 to 50 dB, random 19 to 23; changes 0.78 to 1.21 times the
# input's, those of fine detail 0.88 to 1.44; drift at most 3.3, random 17.
# Scores at places of 19 clips that are no seams: at most 1.32 in time and
# 2.43 in space.
FAR = 24.0  # dB
FARTHER = 8.0  # dB below the clip's median
CLOSE = 40.0  # dB; whatever is closer to the input, nobody sees a difference
FLICKER = 1.25  # times the input's
FINE_FLICKER = 1.6
DRIFT = 5.0  # levels of 8 bit, mean of the clip
SEAM_IN_TIME = 1.6  # times the changes around it
SEAM_IN_SPACE = 3.0  # times the steps around it
_LATER = 0.02  # seconds of sound against picture
_EARLIER = 0.05  # an encoder's delay, which not all containers hide
_FIRST = 1.1  # frames of sound that an encoder adds, or a decoder leaves out
_FROM_ZERO = ('.avi', '.mxf', '.ogv')  # by silence or by a cut
_LACKING = ('.wmv', '.asf')  # whose first frame is not heard
_END = 0.1  # seconds by which sound may end earlier; codecs have packets
_LISTED = 5  # frames that a warning names

Record = Mapping[str, Any]


def find_warnings(record: Record) -> list[str]:
    """Return what a person should look at, a sentence each.

    Args:
        record: as `summarise` makes it.
    """
    rules = (_weights, _frames, _likeness, _flicker, _drift, _sound, _seams)
    return [text for rule in rules for text in rule(record)]


def _weights(record: Record) -> Iterator[str]:
    if record['weights'].get('random'):
        yield (
            'The weights of the model, or of a part of it, are random '
            'numbers: the result means nothing'
        )


def _frames(record: Record) -> Iterator[str]:
    before, after = record['input']['frames'], record['output']['frames']
    if before != after:
        yield f'The input has {before} frames, the result {after}'
    times = [record[side]['picture_seconds'] for side in ('input', 'output')]
    if _shortened(record) or None in times:
        return
    missing = times[0] - times[1]
    if abs(missing) > max(_END, 2 * times[0] / max(1, before)):
        way = 'shorter' if missing > 0 else 'longer'
        yield f'The picture is {abs(missing):.2f} s {way} than in the input'


def _likeness(record: Record) -> Iterator[str]:
    psnr = record['frames']['psnr']
    if not psnr:
        return
    limit = max(FAR, min(median(psnr), CLOSE) - FARTHER)
    far = [i for i, value in enumerate(psnr) if value < limit]
    if far:
        yield (
            f'The result differs strongly from the input at {len(far)} of '
            f'{len(psnr)} frames: {_list_frames(record, far)} (least '
            f'{min(psnr):.1f} dB)'
        )


def _flicker(record: Record) -> Iterator[str]:
    summary = record['summary']
    if (summary['flicker'] or 0) > FLICKER:
        yield (
            f'The result flickers: its frames change {summary["flicker"]:.1f} '
            "times as much as the input's"
        )
    elif (summary['fine_flicker'] or 0) > FINE_FLICKER:
        yield (
            'Fine detail flickers: it changes from frame to frame '
            f'{summary["fine_flicker"]:.1f} times as much as the input'
        )


def _drift(record: Record) -> Iterator[str]:
    names = ('red', 'green', 'blue')
    drift = record['summary']['drift']
    found = [
        f'{name} by {value:+.1f}'
        for name, value in zip(names, drift, strict=True)
        if value is not None and abs(value) > DRIFT
    ]
    if found:
        yield (
            f'The colours drift from the input: {", ".join(found)} of 255 on '
            'average'
        )


def _sound(record: Record) -> Iterator[str]:
    before, after = record['input'], record['output']
    if before['offset'] is None:
        return
    if after['offset'] is None:
        yield 'The sound of the input is not in the result'
        return
    moved = after['offset'] - before['offset']
    name, frame = after['name'].lower(), after.get('sound_frame') or 0
    early, late = max(_EARLIER, _FIRST * frame), _LATER
    if name.endswith(_LACKING):
        late = max(late, _FIRST * frame)
    if not name.endswith(_FROM_ZERO) and not -early <= moved <= late:
        way = 'later' if moved > 0 else 'earlier'
        yield (
            f'The sound begins {abs(moved):.3f} s {way} against the picture '
            'than in the input'
        )
    missing = _sound_end(before) - _sound_end(after)
    if missing > _END and not _shortened(record):
        yield f'The sound ends {missing:.2f} s earlier than in the input'


def _seams(record: Record) -> Iterator[str]:
    seams = record.get('seams', {})
    for kind, most in (('time', SEAM_IN_TIME), ('space', SEAM_IN_SPACE)):
        seam = seams.get(kind)
        if seam and seam['score'] > most:
            place = _describe_seam(record, kind, seam)
            yield (
                f'A seam may show at {place}: it stands out '
                f'{seam["score"]:.1f} times from its surroundings'
            )


def _describe_seam(record: Record, kind: str, seam: Record) -> str:
    if kind == 'time':
        return f'frame {_list_frames(record, [seam["frame"]])}'
    return f'{seam["axis"]} {seam["position"]} of frame {seam["frame"]}'


def _sound_end(clip: Record) -> float:
    return clip['offset'] + clip['sound_seconds']


def _shortened(record: Record) -> bool:
    return record['files'].get('frames') is not None


def _list_frames(record: Record, indices: list[int]) -> str:
    """Name some frames with their times, evenly spread."""
    count = min(len(indices), _LISTED)
    chosen = [indices[i * len(indices) // count] for i in range(count)]
    times = record['frames']['time']
    named = [
        f'{i}' if times[i] is None else f'{i} ({clock(times[i])})'
        for i in chosen
    ]
    return ', '.join(named) + ' ...' * (len(indices) > count)


def clock(seconds: float) -> str:
    """Format a time of a film, such as 0:01:02.50."""
    whole, hundredths = divmod(round(seconds * 100), 100)
    return f'{timedelta(seconds=whole)}.{hundredths:02d}'
