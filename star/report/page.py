"""A comparison as one HTML file that needs nothing else."""

from dataclasses import dataclass
from html import escape
from importlib import resources

from star.report.comparison import Comparison, SetComparison, digits_of
from star.report.curves import COLOURS, draw_curves
from star.report.frames import Crop
from star.report.pictures import ClipPictures, Picture
from star.report.remarks import Remark
from star.report.runs import Key
from star.report.tables import (
    Item,
    Table,
    clip_table,
    set_tables,
)
from star.report.wording import explain

# nothing is loaded from anywhere, whatever a file's name says
_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'"
)
_NO_PICTURES = (
    'No pictures: the restored clips were not kept. tools/test.py keeps them '
    'with --save png.'
)


@dataclass(frozen=True)
class ClipPart:
    """A clip that the page shows.

    Args:
        key: of the clip.
        pictures: None where there are none.
        problem: why there are none, if not for lack of restored clips.
    """

    key: Key
    pictures: ClipPictures | None
    problem: str = ''


def to_page(
    comparison: Comparison, remarks: list[Remark], clips: list[ClipPart]
) -> str:
    """Write the page.

    Args:
        comparison: of the methods.
        remarks: what a reader must know first.
        clips: to show, in this order.
    """
    title = f'Comparison of {", ".join(comparison.runs)}'
    body = [f'<h1>Comparison</h1><p>{escape(explain(comparison))}</p>']
    body += [_remarks(remarks)] if remarks else []
    body += [_set(comparison, part) for part in comparison.sets]
    if clips:
        body.append('<h2>Clips</h2>')
        body += [_clip(comparison, part) for part in clips]
    body.append(_methods(comparison))
    return html_page(title, ''.join(body))


def html_page(title: str, body: str) -> str:
    """Put a body of HTML into a page that loads nothing.

    Args:
        title: plain text.
        body: HTML.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, '
        'initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<title>{escape(title)}</title>'
        f'<style>{_asset("page.css")}</style></head>\n'
        f'<body><main>{body}</main>'
        f'<script>{_asset("page.js")}</script></body></html>\n'
    )


def _asset(name: str) -> str:
    return (resources.files('star.report') / name).read_text('utf-8')


def _remarks(remarks: list[Remark]) -> str:
    items = ''.join(
        f'<li class="{remark.level}"><b>{remark.level}</b> '
        f'{escape(remark.text)}.</li>'
        for remark in remarks
    )
    return (
        f'<section class="remarks"><h2>Warnings</h2><ul>{items}</ul></section>'
    )


def _set(comparison: Comparison, part: SetComparison) -> str:
    body = []
    for table in set_tables(comparison, part):
        text = html_table(table)
        if table.folded:
            title = escape(table.title)
            text = f'<details><summary>{title}</summary>{text}</details>'
        body.append(text)
    return f'<section><h2>{escape(part.name)}</h2>{"".join(body)}</section>'


def html_table(table: Table) -> str:
    """Write a table that scrolls sideways where the window is narrow."""
    head = ''.join(f'<th scope="col">{escape(h)}</th>' for h in table.head)
    rows = ''.join(
        f'<tr><th scope="row">{_cell(row[0])}</th>'
        + ''.join(f'<td>{_cell(item)}</td>' for item in row[1:])
        + '</tr>'
        for row in table.rows
    )
    title = escape(table.title)
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{title}">'
        f'<table><caption>{title}</caption><thead><tr>{head}</tr></thead>'
        f'<tbody>{rows}</tbody></table></div>'
    )


def _cell(item: Item) -> str:
    text = escape(item.text)
    if item.mark == 'best':
        text = f'<b title="best">{text}</b>'
    elif item.mark == 'second':
        text = f'<u title="second best">{text}</u>'
    elif item.mark == 'printed':
        text = f'<i>{text}</i>'
    elif item.mark:
        text = f'{text} <span class="{item.mark}">{item.mark}</span>'
    return f'{text} <small>{escape(item.note)}</small>' if item.note else text


def _clip(comparison: Comparison, part: ClipPart) -> str:
    title = escape('/'.join(part.key))
    scores = clip_table(comparison, part.key)
    pieces = [] if scores is None else [html_table(scores)]
    if part.pictures is None:
        reason = escape(part.problem or _NO_PICTURES)
        pieces.append(f'<p class="missing">{reason}</p>')
    else:
        pieces += _pictures(part.pictures)
    pieces.append(_curves(comparison, part.key))
    return f'<section class="clip"><h3>{title}</h3>{"".join(pieces)}</section>'


def _pictures(made: ClipPictures) -> list[str]:
    clip = '/'.join(made.key)
    height, width = made.size
    crop, (start, count) = made.crop, made.columns
    scaled = ''
    if made.whole and made.whole[0].width != width:
        scaled = f', shown at {made.whole[0].width}x{made.whole[0].height}'
    return [
        *(f'<p class="missing">{escape(note)}.</p>' for note in made.problems),
        f'<h4>Frame {made.frame}, {width}x{height}{scaled}</h4>',
        _viewer(made.whole, f'{clip}, frame {made.frame}'),
        f'<h4>Crop of {_place(crop)}</h4>',
        _grid(made.crops, f'{clip}, crop', 'crops'),
        f'<h4>Row {made.row} over time, columns {start} to '
        f'{start + count - 1}; time runs downwards</h4>',
        _grid(made.profiles, f'{clip}, row {made.row} over time', 'profiles'),
    ]


def _place(crop: Crop) -> str:
    return f'{crop.width}x{crop.height} at column {crop.left}, row {crop.top}'


def _viewer(pictures: list[Picture], title: str) -> str:
    """Write the pictures side by side; the script adds the slider."""
    grid = _grid(pictures, title, 'panes')
    return f'<div class="viewer" data-title="{escape(title)}">{grid}</div>'


def _grid(pictures: list[Picture], title: str, kind: str) -> str:
    figures = ''.join(
        f'<figure data-name="{escape(picture.name)}"><div class="frame">'
        f'<img src="{picture.url}" width="{picture.width}" '
        f'height="{picture.height}" '
        f'alt="{escape(f"{title}: {picture.name}")}"></div>'
        f'<figcaption>{escape(picture.name)}</figcaption></figure>'
        for picture in pictures
    )
    return f'<div class="{kind}">{figures}</div>'


def _curves(comparison: Comparison, key: Key) -> str:
    """Draw every metric of a clip that has scores of frames or pairs."""
    clips = {
        name: run.clips[key]
        for name, run in comparison.runs.items()
        if key in run.clips
    }
    drawn = []
    for metric, better in comparison.higher_is_better.items():
        # every method keeps its colour, with or without this metric
        series = {
            name: clip.parts[metric]
            for name, clip in clips.items()
            if metric in clip.parts
        }
        ranks = {name: i for i, name in enumerate(comparison.runs)}
        colours = {name: ranks[name] for name in series}
        svg = draw_curves(metric, series, colours, digits_of(metric))
        if svg:
            way = 'higher' if better else 'lower'
            drawn.append(
                f'<figure><figcaption>{escape(metric)}, {way} is better'
                f'</figcaption>{svg}</figure>'
            )
    if not drawn:
        return ''
    legend = ''.join(
        f'<li><svg viewBox="0 0 30 8" aria-hidden="true"><polyline '
        f'class="l{i % COLOURS}" points="1,4 29,4"/></svg>'
        f'{escape(name)}</li>'
        for i, name in enumerate(comparison.runs)
        if name in clips
    )
    return (
        f'<h4>Frame by frame</h4><ul class="legend">{legend}</ul>'
        f'<div class="curves">{"".join(drawn)}</div>'
    )


def _methods(comparison: Comparison) -> str:
    """Say what ran, and how it was scored."""
    rows = []
    for name, run in comparison.runs.items():
        protocol = run.protocol
        values = [
            run.method.get('config'),
            run.method.get('checkpoint')
            or ', '.join(run.method.get('weights') or {}),
            protocol.get('input'),
            protocol.get('decoder'),
            protocol.get('device'),
            str(protocol.get('fingerprint', ''))[:12],
        ]
        cells = [Item('' if v is None else str(v)) for v in values]
        rows.append([Item(name), *cells])
    head = ['method', 'config', 'weights', 'scored', 'decoder', 'device']
    table = Table('What ran', [*head, 'protocol'], rows)
    body = f'<h2>Methods</h2>{html_table(table)}'
    return f'<section class="methods">{body}</section>'
