"""The axes' cuts in DOVE's official script, and the sizes of its results."""

FRAMES = 8  # a clip is padded to a multiple of them, and one more
MULTIPLE = 16  # of the sides before they are enlarged: pixels of a token
_CROP = 4  # the script crops by this scale, whatever was chosen
Span = tuple[int, int]  # [start, end)


def cut_axis(length: int, size: int, overlap: int) -> list[Span]:
    """Cut an axis; the last piece may be up to twice as long as the others.

    Args:
        length: of the axis.
        size: of a piece; 0 for one piece.
        overlap: that neighbours share, an even number.

    Raises:
        ValueError: the script fails with these numbers.
    """
    if not size:
        return [(0, length)]
    starts = list(range(0, length - overlap, size - overlap))
    if len(starts) > 1 and starts[-1] + size > length:
        del starts[-1]
    if not starts or (overlap % 2 and len(starts) > 1):
        raise ValueError(
            'the official script needs an even overlap that is less than the '
            f'{length} frames or pixels of the clip, got {overlap}'
        )
    ends = [start + size for start in starts]
    return list(zip(starts, [*ends[:-1], length], strict=True))


def kept_spans(spans: list[Span], overlap: int) -> list[Span]:
    """Return what is kept of each piece: half of each overlap is cut off.

    Args:
        spans: of an axis.
        overlap: that neighbours share.
    """
    half, length = overlap // 2, spans[-1][1]
    return [
        (start + half * (start > 0), end - half * (end < length))
        for start, end in spans
    ]


def round_trips(spans: list[Span]) -> bool:
    """Return whether diffusers' autoencoder keeps the frames of all pieces."""
    return all((end - start) % FRAMES < 2 for start, end in spans)


def script_size(size: tuple[int, int], scale: int) -> tuple[int, int]:
    """Return the size of the script's result, which is right for scale 4.

    Args:
        size: height and width of the clip.
        scale: of the enlargement.
    """
    height, width = (
        scale * (side + -side % MULTIPLE) - _CROP * (-side % MULTIPLE)
        for side in size
    )
    return height, width
