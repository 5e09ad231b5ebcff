"""A comparison as one HTML page that needs no other file."""

import json
from dataclasses import dataclass
from html import escape
from importlib import resources

from star.report.comparison import Comparison, SetComparison, digits_of
from star.report.curves import COLOURS, draw_curves
from star.report.frames import choose_pair
from star.report.pictures import ClipPictures, Picture
from star.report.playing import PlayedClip
from star.report.remarks import Remark
from star.report.results import Key
from star.report.tables import (
    Item,
    Table,
    clip_table,
    explanation,
    method_table,
    set_tables,
)

# the browser loads nothing else, whatever a file's name contains
_POLICY = (
    "default-src 'none'; img-src data:; media-src data: blob:; "
    "style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'"
)
_NO_PICTURES = (
    'No pictures: the restored clips were not kept. `star test --save png` '
    'keeps them.'
)


@dataclass(frozen=True)
class ClipSection:
    """A clip on the page.

    Args:
        key: of the clip.
        pictures: None where there are none.
        problem: reason for that, other than a lack of restored clips.
    """

    key: Key
    pictures: ClipPictures | None
    problem: str = ''


def to_page(
    comparison: Comparison, remarks: list[Remark], clips: list[ClipSection]
) -> str:
    """Return the page.

    Args:
        comparison: of the methods.
        remarks: shown below the tables of scores.
        clips: shown below the remarks, in this order.
    """
    title = f'Comparison of {", ".join(comparison.results)}'
    body = [f'<h1>Comparison</h1><p>{escape(explanation(comparison))}</p>']
    body += [_link(remarks)] if remarks else []
    body += [_set(comparison, each) for each in comparison.sets]
    body += [_remarks(remarks)] if remarks else []
    if clips:
        body.append('<h2>Clips</h2>')
        body += [_clip(comparison, section) for section in clips]
    methods = html_table(method_table(comparison))
    body.append(
        f'<section class="methods"><h2>Methods</h2>{methods}</section>'
    )
    return html_page(title, ''.join(body))


def html_page(title: str, body: str) -> str:
    """Return a page that loads no other file.

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
        f'<script>{_asset("page.js")}{_asset("play.js")}</script>'
        '</body></html>\n'
    )


def _asset(name: str) -> str:
    return (resources.files('star.report') / name).read_text('utf-8')


def _link(remarks: list[Remark]) -> str:
    """Return a line that leads to the warnings below the tables."""
    counts = []
    for level in dict.fromkeys(remark.level for remark in remarks):
        count = sum(remark.level == level for remark in remarks)
        counts.append(f'{count} {level}{"" if count == 1 else "s"}')
    text = f'<a href="#warnings">{" and ".join(counts)}</a>'
    return f'<p>{text} below the tables.</p>'


def _remarks(remarks: list[Remark]) -> str:
    items = ''.join(
        f'<li class="{remark.level}"><b>{remark.level}</b> '
        f'{escape(remark.text)}.</li>'
        for remark in remarks
    )
    return (
        '<section class="remarks" id="warnings"><h2>Warnings</h2>'
        f'<ul>{items}</ul></section>'
    )


def _set(comparison: Comparison, set_: SetComparison) -> str:
    body = []
    for table in set_tables(comparison, set_):
        text = html_table(table)
        if table.folded:
            title = escape(table.title)
            text = f'<details><summary>{title}</summary>{text}</details>'
        body.append(text)
    return f'<section><h2>{escape(set_.name)}</h2>{"".join(body)}</section>'


def html_table(table: Table) -> str:
    """Return a table that scrolls sideways in a narrow window."""
    head = ''.join(f'<th scope="col">{escape(h)}</th>' for h in table.head)
    rows = ''.join(
        f'<tr><th scope="row">{_cell(row[0])}</th>'
        + ''.join(f'<td>{_cell(item)}</td>' for item in row[1:])
        + '</tr>'
        for row in table.rows
    )
    title = escape(table.title)
    remark = f'<p class="missing">{escape(table.remark)}.</p>'
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{title}">'
        f'<table><caption>{title}</caption><thead><tr>{head}</tr></thead>'
        f'<tbody>{rows}</tbody></table></div>{remark if table.remark else ""}'
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


def _clip(comparison: Comparison, section: ClipSection) -> str:
    title = escape('/'.join(section.key))
    scores = clip_table(comparison, section.key)
    body = [] if scores is None else [html_table(scores)]
    if section.pictures is None:
        reason = escape(section.problem or _NO_PICTURES)
        body.append(f'<p class="missing">{reason}</p>')
    else:
        body += _pictures(comparison, section.pictures)
    body.append(_curves(comparison, section.key))
    return f'<section class="clip"><h3>{title}</h3>{"".join(body)}</section>'


def _pictures(comparison: Comparison, made: ClipPictures) -> list[str]:
    clip = '/'.join(made.key)
    height, width = made.size
    crop, (start, count) = made.crop, made.columns
    names = [picture.name for picture in made.whole]
    pair = choose_pair(comparison, made.key, names) if names else ('', '')
    scaled = ''
    if made.whole and made.whole[0].width != width:
        scaled = f', shown at {made.whole[0].width}x{made.whole[0].height}'
    return [
        *(f'<p class="missing">{escape(note)}.</p>' for note in made.problems),
        f'<h4>Frame {made.frame}, {width}x{height}{scaled}</h4>',
        html_viewer(made.whole, f'{clip}, frame {made.frame}', pair),
        *([] if made.played is None else _player(made.played, clip, pair)),
        f'<h4>Crop of {crop.width}x{crop.height} at column {crop.left}, row '
        f'{crop.top}</h4>',
        html_grid(made.crops, f'{clip}, crop', 'crops'),
        f'<h4>Row {made.row} over time, columns {start} to '
        f'{start + count - 1}; time runs downwards</h4>',
        html_grid(
            made.profiles, f'{clip}, row {made.row} over time', 'profiles'
        ),
    ]


def html_viewer(
    pictures: list[Picture], title: str, pair: tuple[str, str]
) -> str:
    """Return the pictures side by side; page.js adds the slider.

    Args:
        pictures: of one size.
        title: of the group, plain text.
        pair: names of the two pictures that are compared first.
    """
    grid = html_grid(pictures, title, 'panes')
    return f'<div class="viewer" {_data(title, pair)}>{grid}</div>'


def _player(made: PlayedClip, title: str, pair: tuple[str, str]) -> list[str]:
    """Return a video of all versions; play.js shows two of them."""
    (height, width), (cell_height, cell_width) = made.size, made.cell
    facts = {
        'names': json.dumps(made.names),
        'columns': made.columns,
        'width': width,
        'height': height,
        'cell-width': cell_width,
        'cell-height': cell_height,
        'frames': made.frames,
        'fps': made.fps,
    }
    data = ' '.join(f'data-{k}="{escape(str(v))}"' for k, v in facts.items())
    order = escape(', '.join(made.names))
    return [
        f'<h4>Playing: {made.frames} frames at {made.fps:.4g} per second, '
        f'shown at {width}x{height}</h4>',
        f'<div class="player" {_data(title, pair)} {data}>'
        f'<video src="{made.url}" controls loop muted playsinline></video>'
        f'<p class="order">Row by row: {order}.</p></div>',
    ]


def _data(title: str, pair: tuple[str, str]) -> str:
    """Return the attributes that viewer and player share."""
    left, right = map(escape, pair)
    return (
        f'data-title="{escape(title)}" data-left="{left}" data-right="{right}"'
    )


def html_grid(pictures: list[Picture], title: str, kind: str) -> str:
    """Return pictures with their names, as a grid.

    Args:
        pictures: shown in this order.
        title: of the group, plain text.
        kind: class of page.css: 'panes', 'crops' or 'profiles'.
    """
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
    """Draw the metrics of a clip that have scores of frames or pairs."""
    clips = {
        name: results.clips[key]
        for name, results in comparison.results.items()
        if key in results.clips
    }
    # a method has the same colour in all drawings
    colours = {name: i for i, name in enumerate(comparison.results)}
    drawn = []
    for metric, better in comparison.higher_is_better.items():
        series = {
            name: clip.frame_scores[metric]
            for name, clip in clips.items()
            if metric in clip.frame_scores
        }
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
        f'class="l{colours[name] % COLOURS}" points="1,4 29,4"/></svg>'
        f'{escape(name)}</li>'
        for name in clips
    )
    return (
        f'<h4>Frame by frame</h4><ul class="legend">{legend}</ul>'
        f'<div class="curves">{"".join(drawn)}</div>'
    )
