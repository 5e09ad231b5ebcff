"""The test sets of the paper, and how a set of the same name differs."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from star.utils.results_format import ClipRecord

Size = tuple[int, int]  # height, width
SCALE = 4  # of the paper
DEPARTURE = 'departure'  # column of a sweep's table, see `find_departure`


class PaperSet(NamedTuple):
    """Facts of one of the paper's test sets.

    Args:
        clips: their number.
        frames: of each clip.
        size: height and width of the restored frames; None where clips differ
            or nobody has published it.
    """

    clips: int
    frames: int
    size: Size | None = None


# The paper does not state the frames of OpenVid10: 25 is what its CogVideoX
# branch restores at once.
PAPER_SETS = {
    'UDM10': PaperSet(10, 32, (720, 1272)),
    'REDS30': PaperSet(30, 100, (720, 1280)),
    'OpenVid30': PaperSet(30, 100),
    'VideoLQ': PaperSet(50, 100),
    'OpenVid10': PaperSet(10, 25, (480, 720)),
}


class ClipFacts(NamedTuple):
    """Record of a scored clip in a result; sizes are height and width."""

    num_frames: int
    size: Size
    lq_size: Size | None


def clip_facts(record: ClipRecord) -> ClipFacts:
    """Take the facts from a clip's entry in results.json."""
    height, width = record['size']
    lq_size = record.get('lq_size')
    lq = (lq_size[0], lq_size[1]) if lq_size else None
    return ClipFacts(record['num_frames'], (height, width), lq)


def find_departure(
    name: str, counts: Iterable[int], clips: Iterable[ClipFacts]
) -> str:
    """Say why the paper's numbers do not belong beside those of a set.

    Args:
        name: of the set.
        counts: numbers of clips that means are over.
        clips: scored clips of all methods.

    Returns:
        One sentence; '' for the paper's set, and for a set that the paper
        does not have.
    """
    paper = PAPER_SETS.get(name)
    if paper is None:
        return ''
    found = list(clips)
    reasons = [
        _other(counts, paper.clips, '{} clips'),
        _other((c.num_frames for c in found), paper.frames, '{} frames'),
        _other(_scales(found), SCALE, 'x{:g}'),
    ]
    if paper.size:
        sizes = (clip.size for clip in found)
        reasons.append(_other(sizes, paper.size, '{0[1]}x{0[0]} pixels'))
    listed = '; '.join(reason for reason in reasons if reason)
    if not listed:
        return ''
    return (
        f"The paper's numbers are not shown: this is not its {name} ({listed})"
    )


def _scales(clips: Iterable[ClipFacts]) -> Iterator[float]:
    """Return by how much each clip was enlarged, downwards and across."""
    for clip in clips:
        if clip.lq_size is not None:
            yield from (
                a / b for a, b in zip(clip.size, clip.lq_size, strict=True)
            )


def _other(values: Iterable[Any], expected: Any, text: str) -> str:
    """Name the values that are not the expected one; '' without any."""
    other = sorted({value for value in values if value != expected})
    if not other:
        return ''
    ends = dict.fromkeys(text.format(v) for v in (other[0], other[-1]))
    return f'{" to ".join(ends)}, not {text.format(expected)}'
