"""The record of trust of one result as an HTML page."""

import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from html import escape
from itertools import dropwhile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from star.report.curves import draw_curves
from star.report.frames import reduced
from star.report.page import html_grid, html_page, html_table, html_viewer
from star.report.pictures import Picture, to_picture
from star.report.results import FrameScores
from star.report.tables import Item, Table
from star.utils.files import write_bytes
from star.video.io import VideoError, VideoReader

_LONGEST = 1280  # side of a frame on the page, pixels
_QUALITY = 88
_CROP = 192  # side of the surroundings of a seam, pixels
_POINTS = 600  # of a curve
_FAR = 300  # frames; to decode more, a place is sought
_SHOWN = 3  # worst frames
_STEEPER = 8  # factor of a difference that is shown
Record = Mapping[str, Any]


def write_trust_page(path: Path, record: Record, src: Path, dst: Path) -> None:
    """Write the page of a result, which needs no other file.

    Args:
        path: NAME.star.html.
        record: content of NAME.star.json.
        src: the input; frames that cannot be read are left out.
        dst: the result, likewise.
    """
    page = trust_page(record, src, dst)
    # names need not be UTF-8
    write_bytes(path, page.encode('utf-8', 'backslashreplace'))


def trust_page(record: Record, src: Path, dst: Path) -> str:
    """Return the page; see `write_trust_page`."""
    name = record['output']['name']
    body = [
        f'<h1>{escape(name)}</h1>',
        _warnings(record),
        '<section><h2>Input and result</h2>',
        html_table(_clips(record)),
        html_table(_measurements(record)),
        '</section>',
        _curves(record),
        _worst(record, src, dst),
        _seams(record, dst),
        '<section class="methods"><h2>Method</h2>',
        html_table(_method(record)),
        html_table(_weights(record)),
        _notes(record),
        '</section>',
    ]
    return html_page(f'Trust in {name}', ''.join(body))


def _warnings(record: Record) -> str:
    items = ''.join(
        f'<li class="warning"><b>warning</b> {escape(text)}.</li>'
        for text in record['warnings']
    )
    if not items:
        return '<p>Nothing in this restoration calls for a warning.</p>'
    return (
        '<section class="remarks" id="warnings"><h2>Warnings</h2>'
        f'<ul>{items}</ul></section>'
    )


def _clips(record: Record) -> Table:
    names = {
        'name': 'file',
        'sha256': 'SHA-256',
        'bytes': 'bytes',
        'frames': 'frames',
        'size': 'width x height',
        'picture_seconds': 'seconds of picture',
        'sound_seconds': 'seconds of sound',
        'offset': 'sound begins after the picture, seconds',
    }
    rows = [
        [Item(title), *(Item(_text(record[s][key])) for s in _SIDES)]
        for key, title in names.items()
    ]
    return Table('Files', ['', 'input', 'result'], rows)


_SIDES = ('input', 'output')


def _measurements(record: Record) -> Table:
    found = record['summary']
    drift = ', '.join(
        '-' if d is None else f'{d:+.2f}' for d in found['drift']
    )
    rows = [
        ('PSNR of the shrunk result against the input, mean', found['psnr']),
        ('the same, least', found['least_psnr']),
        ("change from frame to frame, times the input's", found['flicker']),
        ('the same, of fine detail', found['fine_flicker']),
        ('drift of mean red, green, blue (of 255)', drift),
        ('scenes', len(record['scenes'])),
    ]
    return Table(
        'Measurements',
        ['', 'value'],
        [[Item(title), Item(_text(value))] for title, value in rows],
    )


def _method(record: Record) -> Table:
    facts = {'config': record['config'], **record['method']}
    facts |= {f'file: {k}': v for k, v in record['files'].items()}
    flat: dict[str, Any] = {}
    for name, value in facts.items():
        if isinstance(value, Mapping):
            flat |= {f'{name}: {key}': each for key, each in value.items()}
        else:
            flat[name] = value
    rows = [[Item(str(k)), Item(_text(v))] for k, v in flat.items()]
    return Table('Options and versions', ['', 'value'], rows)


def _weights(record: Record) -> Table:
    rows = [
        [
            Item(each['part']),
            Item(
                'random numbers' if each['kind'] == 'random' else each['kind']
            ),
            Item(each['source']),
            Item(each['sha256']),
            Item(f'{each["parameters"]:,}'),
        ]
        for each in record['weights'].get('origins', ())
    ]
    head = ['part', 'origin', 'file', 'SHA-256', 'values']
    return Table('Weights', head, rows, remark='' if rows else 'None')


def _notes(record: Record) -> str:
    items = ''.join(f'<li>{escape(note)}</li>' for note in record['notes'])
    return f'<h3>Notes</h3><ul>{items}</ul>' if items else ''


def _curves(record: Record) -> str:
    frames = record['frames']
    drawn = [
        _curve('PSNR against the input (dB)', {'result': frames['psnr']}, min),
        _curve(
            'Change to the frame before (of 255)',
            {'input': frames['change_lq'], 'result': frames['change_pred']},
            max,
        ),
        _curve(
            'Drift of the mean colour (of 255)',
            {c: frames[f'drift_{c}'] for c in ('red', 'green', 'blue')},
            _furthest,
        ),
    ]
    whole = ''.join(drawn)
    if not whole:
        return ''
    return (
        '<section><h2>Frame by frame</h2>'
        f'<div class="curves">{whole}</div></section>'
    )


def _curve(title: str, lines: Mapping[str, list], pick: Any) -> str:
    series = {name: _thinned(values, pick) for name, values in lines.items()}
    colours = {name: i for i, name in enumerate(series)}
    svg = draw_curves(title, series, colours, 2)
    legend = ''.join(
        f'<li><svg viewBox="0 0 30 8" aria-hidden="true"><polyline '
        f'class="l{i}" points="1,4 29,4"/></svg>{escape(name)}</li>'
        for name, i in colours.items()
    )
    if not svg:
        return ''
    return (
        f'<figure><figcaption>{escape(title)}</figcaption>{svg}'
        f'<ul class="legend">{legend}</ul></figure>'
    )


def _thinned(values: Sequence[float | None], pick: Any) -> FrameScores:
    """Let the most telling of several frames stand for them."""
    step = -(-len(values) // _POINTS)
    frames, chosen = [], []
    for first in range(0, len(values), step or 1):
        part = [v for v in values[first : first + step] if v is not None]
        frames.append(first)
        chosen.append(pick(part) if part else None)
    return FrameScores(frames, chosen)


def _furthest(values: list[float]) -> float:
    return max(values, key=abs)


def _worst(record: Record, src: Path, dst: Path) -> str:
    parts = []
    for place in record['summary']['worst_frames'][:_SHOWN]:
        pictures = _pair(src, dst, place['frame'], place['time'])
        title = f'Frame {place["frame"]}, {place["psnr"]:.1f} dB'
        if place['time'] is not None:
            title += f', at {place["time"]:.2f} s'
        shown = '<p class="missing">It cannot be read any more.</p>'
        if pictures:
            shown = html_viewer(pictures, title, ('input', 'result'))
        parts.append(f'<h4>{escape(title)}</h4>{shown}')
    if not parts:
        return ''
    return (
        '<section class="clip"><h2>The frames that differ most from the '
        f'input</h2>{"".join(parts)}</section>'
    )


def _pair(
    src: Path, dst: Path, index: int, time: float | None
) -> list[Picture]:
    lq, pred = (read_frame(path, index, time) for path in (src, dst))
    if lq is None or pred is None:
        return []
    height, width = reduced((pred.height, pred.width), _LONGEST)
    return [
        to_picture(
            name,
            image.resize((width, height), Image.Resampling.BICUBIC),
            _QUALITY,
        )
        for name, image in (('input', lq), ('result', pred))
    ]


def _seams(record: Record, dst: Path) -> str:
    """Show the worst seam in time and the one in space."""
    seams = record.get('seams') or {}
    parts = []
    if seams.get('time'):
        parts.append(_time_seam(seams['time'], record['frames'], dst))
    if seams.get('space'):
        parts.append(_space_seam(seams['space'], record['frames'], dst))
    if not parts:
        return ''
    return (
        '<section class="clip"><h2>The worst seams</h2><p>A score of 1 means '
        f'like its surroundings.</p>{"".join(parts)}</section>'
    )


def _time_seam(seam: Record, frames: Record, dst: Path) -> str:
    index = seam['frame']
    pair = [read_frame(dst, i, frames['time'][i]) for i in (index - 1, index)]
    title = (
        f'Between frames {index - 1} and {index}, score {seam["score"]:.2f}'
    )
    before, after = pair
    if before is None or after is None:
        return f'<h4>{escape(title)}</h4>'
    change = np.abs(np.asarray(after, np.int16) - np.asarray(before, np.int16))
    steep = np.minimum(change * _STEEPER, 255).astype(np.uint8)
    height, width = reduced((before.height, before.width), _LONGEST // 2)
    names = (f'frame {index - 1}', f'frame {index}', f'change x{_STEEPER}')
    pictures = [
        to_picture(name, image.resize((width, height)), _QUALITY)
        for name, image in zip(
            names, (before, after, Image.fromarray(steep)), strict=True
        )
    ]
    return f'<h4>{escape(title)}</h4>{html_grid(pictures, title, "panes")}'


def _space_seam(seam: Record, frames: Record, dst: Path) -> str:
    index, axis, at = seam['frame'], seam['axis'], seam['position']
    title = f'At {axis} {at} of frame {index}, score {seam["score"]:.2f}'
    image = read_frame(dst, index, frames['time'][index])
    if image is None:
        return f'<h4>{escape(title)}</h4>'
    middle = [image.width // 2, image.height // 2]
    middle[axis == 'row'] = at
    left, top = (max(0, m - _CROP // 2) for m in middle)
    part = image.crop((left, top, left + _CROP, top + _CROP))
    pictures = [to_picture(f'{axis} {at} in the middle', part, 95)]
    return f'<h4>{escape(title)}</h4>{html_grid(pictures, title, "crops")}'


def read_frame(
    path: Path, index: int, time: float | None
) -> Image.Image | None:
    """Read one frame of a clip.

    Args:
        path: video, image, or folder of images.
        index: of the frame.
        time: its seconds since the start; a place far on is sought by it.

    Returns:
        None if it cannot be read any more.
    """
    try:
        with VideoReader(path, allow_partial=True) as reader:
            if index > _FAR and time and reader.info.kind == 'video':
                reader.begin = Fraction(time)
                step = reader.info.frame_duration / 2
                rest = dropwhile(
                    lambda f: f.time < time - step, reader.frames()
                )
                found = next(rest, None)
                if found is not None and found.time < time + step:
                    return Image.fromarray(found.image)
                reader.begin = Fraction(0)
            found = next(iter(reader.frames(index)), None)
    except (VideoError, OSError):
        return None
    return None if found is None else Image.fromarray(found.image)


def _text(value: Any) -> str:
    if value is None:
        return '-'
    if isinstance(value, float):
        return f'{value:.3f}'
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ' x '.join(map(str, value))
    if isinstance(value, Mapping):
        return json.dumps(value)
    return str(value)
