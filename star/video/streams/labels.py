"""Metadata, languages, titles, marks and chapters, and where they fit."""

from fractions import Fraction
from typing import TYPE_CHECKING

import av

from star.video.streams.trial import Trial

if TYPE_CHECKING:  # it is in PyAV's type stubs alone
    from av.container.core import Chapter

_OF_THE_FILE = frozenset(  # FFmpeg writes its own, or they would be wrong
    {
        *('encoder', 'major_brand', 'minor_version', 'compatible_brands'),
        *('duration', 'handler_name', 'vendor_id', 'number_of_frames'),
        *('number_of_bytes', 'bps', 'source_id', 'software', 'filename'),
        *(
            'mimetype',
            'rotate',
            'alpha_mode',
            'variant_bitrate',
            'service_name',
            'service_provider',
        ),
    }
)
_SILENT = frozenset({'creation_time', 'timecode'})
_LANGUAGE = 3  # letters, of `location-eng`, which repeats `location`
_ALL_KEYS = ('matroska', 'webm', 'nut', 'ogg')
_STREAM_KEYS = {
    'mp4': ('title', 'language'),
    'mov': ('title', 'language'),
    'ipod': ('language',),
    '3gp': ('language',),
    'avi': ('title',),
    'mpegts': ('language',),
    'asf': ('language',),
}
_MARKS = {  # what FFmpeg writes and reads again, beside `default`
    'mp4': 'dub comment forced hearing_impaired visual_impaired captions '
    'descriptions',
    'matroska': 'dub original comment forced hearing_impaired visual_impaired',
    'webm': 'forced',
    'nut': 'dub original comment lyrics karaoke',
}
_QUICKTIME = {  # names of its older list of languages
    'deu': 'ger',
    'ell': 'gre',
    'isl': 'ice',
    'mkd': 'mac',
    'nld': 'dut',
    'sqi': 'alb',
    'swe': 'sve',
    'zho': 'chi',
}


def label_losses(
    source: av.container.InputContainer,
    kept: list[av.stream.Stream],
    trial: Trial,
) -> list[str]:
    """List the metadata, marks and chapters that a container cannot hold.

    Args:
        source: the file.
        kept: its streams that come into the result, the picture first.
        trial: of the container.

    Returns:
        What is lost, a few words each.
    """
    labels, chapters = file_labels(source), source.chapters()
    for key, value in _items(kept[0].metadata):
        if key == 'timecode':
            labels[key] = value

    def fill(output: av.container.OutputContainer) -> None:
        output.metadata.update(labels)
        output.set_chapters(chapters)
        allow_all(output)

    lost = []
    written = trial.kept(fill)
    if written is not None:
        names, count = written
        missing = sorted(k for k in labels if k.lower() not in names)
        if missing:
            lost.append(f'metadata ({", ".join(missing)})')
        if chapters and not count:
            lost.append(f'{len(chapters)} chapters')
    return lost + _stream_losses(kept, trial.name)


def _stream_losses(
    streams: list[av.stream.Stream], container: str
) -> list[str]:
    """List what single streams lose: labels such as a language, and marks."""
    labels, marks = [], []
    keys = _STREAM_KEYS.get(container, ())
    plain = av.stream.Disposition.default | av.stream.Disposition.attached_pic
    for stream in streams:
        owner = f'{stream.type} stream {stream.index}'
        for key, value in _items(stream_labels(stream)):
            if key not in (*keys, *_SILENT) and container not in _ALL_KEYS:
                labels.append(f'{key} {value!r} of {owner}')
        known = _MARKS.get(container, '').split()
        for mark in stream.disposition & ~plain:
            if mark.name not in known:
                marks.append(f'mark {mark.name!r} of {owner}')
    return [', '.join(found) for found in (labels, marks) if found]


def _items(metadata: dict[str, str]) -> list[tuple[str, str]]:
    return [(key.lower(), value) for key, value in metadata.items()]


def file_labels(source: av.container.InputContainer) -> dict[str, str]:
    """Return a file's metadata without what is true of that file alone."""
    return _clean(source.metadata)


def stream_labels(
    stream: av.stream.Stream, container: str = ''
) -> dict[str, str]:
    """Return a stream's metadata as a container calls it."""
    labels = _clean(stream.metadata)
    if 'name' in labels:  # FFmpeg writes `title` and reads `name` in MP4
        labels.setdefault('title', labels.pop('name'))
    if labels.get('language') == 'und':
        del labels['language']
    if container == 'mov' and 'language' in labels:
        language = labels['language']
        labels['language'] = _QUICKTIME.get(language, language)
    return labels


def _clean(metadata: dict[str, str]) -> dict[str, str]:
    labels = {}
    for key, value in metadata.items():
        base, _, language = key.lower().partition('-')
        again = len(language) == _LANGUAGE and base in metadata
        own = base in _OF_THE_FILE or base.startswith('_statistics')
        if not (again or own):
            labels[key] = value
    return labels


def allow_all(output: av.container.OutputContainer) -> None:
    """Let a QuickTime file hold metadata of any name where it has to.

    Its players find the usual names only without this.
    """
    usual = ('title', 'artist', 'comment', 'date', 'genre', 'album')
    others = {k.lower() for k in output.metadata}.difference(usual, _SILENT)
    if output.format.name == 'mov' and others:
        flags = output.container_options.get('movflags', '')
        output.container_options['movflags'] = f'{flags}+use_metadata_tags'


def copy_labels(
    stream: av.stream.Stream, target: av.stream.Stream, container: str
) -> None:
    """Copy a stream's metadata and marks to its target."""
    target.metadata.update(stream_labels(stream, container))
    target.disposition = stream.disposition


def copied_chapters(
    source: av.container.InputContainer,
    start: Fraction,
    end: Fraction | None,
) -> 'list[Chapter]':
    """Return a file's chapters on the clock of the result.

    Args:
        source: the file.
        start: seconds on its clock that are zero in the result.
        end: of the result, seconds; None for the source's end.
    """
    chapters: list[Chapter] = []
    for chapter in source.chapters():
        base = chapter['time_base'] or Fraction(1, 1000)
        first = max(chapter['start'] * base - start, Fraction(0))
        last = chapter['end'] * base - start
        if end is not None:
            last = min(last, end)
        if last > first or (end is None and last == first):
            chapter['start'] = round(first / base)
            chapter['end'] = round(last / base)
            chapters.append(chapter)
    return chapters
