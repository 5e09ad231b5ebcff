"""Settings of a video encoder that work for a frame size."""

from dataclasses import replace
from fractions import Fraction
from itertools import product

import av

from star.video import pixels
from star.video.codec_choice import list_choices, needs_of
from star.video.colour import hdr
from star.video.colour.light import Light
from star.video.containers import (
    COUNTING,
    IN_ORDER,
    TAGGED,
    UNBROKEN,
    open_trial,
)
from star.video.decode import open_input, pick_stream
from star.video.encoding import Encoding, open_stream
from star.video.encoding_notes import change_notes, loss_notes, remedies
from star.video.info import VideoError, VideoInfo, explain
from star.video.timing.fields import FILM_NOTE
from star.video.timing.telecine import CYCLE

_UNKNOWN = (0, 2, 3)  # reserved or unspecified H.273 codes
_BT709, _BT601, _BT2020 = 1, 6, 9
_ALWAYS_BT601 = ('libvpx', 'mjpeg')
_UNTAGGED = (  # codecs that leave the matrix to the container
    *('mpeg4', 'msmpeg4', 'flv', 'wmv2', 'rawvideo', 'ffv1', 'huffyuv'),
    *('ffvhuff', 'utvideo'),
)
_OFF_GRID = 0.1  # of a frame; Matroska rounds times to milliseconds
_EVEN = ('prores_ks', 'prores', 'prores_aw')  # they spoil an odd last column


def plan_encoding(
    codec: str | None,
    pix_fmt: str | None,
    size: tuple[int, int],
    crf: float,
    source: VideoInfo | None,
    suffix: str = '',
) -> tuple[Encoding, list[str]]:
    """Find settings close to the requested ones that the encoder accepts.

    Without a codec H.264 is written, or HEVC with 10 bits for a source with
    more than 8 bits or HDR, or a codec with alpha for a transparent source,
    if the container can hold it. An odd size that an encoder cannot subsample
    grows by one. A time base that it refuses is replaced by 1/60000 s or by
    one frame.

    Args:
        codec: FFmpeg's name of the encoder; None or 'auto' to choose.
        pix_fmt: pixel format; None or 'auto' to choose.
        size: width and height, pixels.
        crf: constant rate factor.
        source: video that the frames come from; None if there is none.
        suffix: of the result, such as '.mp4'; '' if it is not known.

    Returns:
        The settings, and one sentence for each difference from the request
        or the source.

    Raises:
        VideoError: the codec, the format or the container is unknown, or the
            encoder refuses all settings.
    """
    codec, pix_fmt = (None if x == 'auto' else x for x in (codec, pix_fmt))
    suffix, needs = suffix.lower(), needs_of(source)
    choices = list_choices(codec, pix_fmt, suffix, needs)
    limit = 51 if choices[0][0].startswith('libx26') else 63
    if not 0 <= crf <= limit:
        raise VideoError(f'crf {crf:g} is not within 0 to {limit}')
    reason = ''
    for name, form in choices:
        first = _request(name, form, size, crf, source)
        first = _suit_container(first, suffix, source)
        encoding, refusal = _fit(first, suffix)
        if encoding is not None:
            notes = change_notes(first, encoding)
            if source is None:
                return encoding, notes
            notes += loss_notes(source, needs, encoding, suffix)
            if pix_fmt is None:
                notes += remedies(needs, encoding, suffix, codec is not None)
            return encoding, notes
        reason = reason or refusal
    name, form = choices[0]
    raise VideoError(
        f'{name} cannot encode {form} at {size[0]}x{size[1]} '
        f'with crf {crf:g} ({reason})'
    )


def _fit(first: Encoding, suffix: str) -> tuple[Encoding | None, str]:
    """Return settings that the encoder accepts, or None and its reason."""
    size = first.width, first.height
    sizes = [size]
    if pixels.has_odd_chroma(first.pix_fmt, size):
        even = first.width + first.width % 2, first.height + first.height % 2
        sizes = [even] if first.codec in _EVEN else [size, even]
    bases = [first.time_base, Fraction(1, 60000), 1 / first.rate]
    reason = ''
    for base, (width, height) in product(bases, sizes):
        encoding = replace(first, width=width, height=height, time_base=base)
        refusal = _try(encoding, suffix)
        if not refusal:
            return encoding, ''
        reason = reason or refusal
    return None, reason


def _request(
    codec: str,
    pix_fmt: str,
    size: tuple[int, int],
    crf: float,
    source: VideoInfo | None,
) -> Encoding:
    rate = (source.fps if source else None) or Fraction(25)
    known = source is not None and source.timed and source.kind == 'video'
    primaries, transfer, matrix = _colours(
        source, pixels.format_bits(pix_fmt) > 8
    )
    keeps_hdr = source is not None and transfer in hdr.NAMES
    return Encoding(
        codec=codec,
        pix_fmt=pix_fmt,
        width=size[0],
        height=size[1],
        time_base=source.time_base if known and source else 1 / rate,
        rate=rate.limit_denominator(1 << 16),
        crf=crf,
        aspect=source.sample_aspect_ratio if source else Fraction(1),
        primaries=primaries,
        transfer=transfer,
        matrix=matrix,
        light=source.light if source and keeps_hdr else Light(),
    )


def _colours(source: VideoInfo | None, deep: bool) -> tuple[int, int, int]:
    """Return the result's primaries, transfer and matrix, H.273 codes."""
    if source is None or (source.hdr and not deep):
        return _BT709, _BT709, _BT709
    primaries, transfer = source.color_primaries, source.color_transfer
    if source.hdr:
        return _known(primaries, _BT2020), transfer, _BT2020
    wide = deep and primaries == _BT2020
    matrix = _BT2020 if wide else _BT709
    return _known(primaries, _BT709), _known(transfer, _BT709), matrix


def _suit_container(
    first: Encoding, suffix: str, source: VideoInfo | None
) -> Encoding:
    """Change what a container cannot say."""
    matrix = _implied_matrix(first.codec, suffix, first.height)
    if matrix is not None:
        first = replace(first, matrix=matrix)
    if suffix in IN_ORDER:
        first = replace(first, reorders=False)
    if suffix not in COUNTING or source is None:
        return first
    places = _find_places(source)
    even = all(abs(place - round(place)) < _OFF_GRID for place in places)
    if suffix in UNBROKEN and not (even and _is_unbroken(source, places)):
        raise VideoError(
            f'{source.path}: its frames last unequally, which {suffix} cannot '
            'hold; choose .mov or .mkv'
        )
    # a finer clock would fill an AVI with empty frames, and be an Ogg's rate
    return replace(first, time_base=1 / first.rate) if even else first


def _find_places(source: VideoInfo) -> list[float]:
    """Return where the frames lie on the grid of the rate."""
    if source.kind != 'video' or not source.timed or not source.fps:
        return []
    with open_input(source.path) as container:
        packets = container.demux(pick_stream(container, source.path))
        times = [(p.pts, p.dts) for p in packets if p.size]
    ticks = [pts for pts, _ in times if pts is not None]
    ticks = ticks or [dts for _, dts in times if dts is not None]  # AVI
    step = float(source.time_base * source.fps)
    step *= CYCLE if FILM_NOTE in source.notes else 1
    return [(tick - min(ticks)) * step for tick in ticks]


def _is_unbroken(source: VideoInfo, places: list[float]) -> bool:
    """Return whether each place of the grid has a frame."""
    numbers = sorted({round(place) for place in places})
    return FILM_NOTE in source.notes or numbers == list(range(len(numbers)))


def _implied_matrix(codec: str, suffix: str, height: int) -> int | None:
    """Return the matrix that players assume; None where a tag names it."""
    if codec in _ALWAYS_BT601:
        return _BT601
    if suffix in ('', *TAGGED) or codec not in _UNTAGGED:
        return None
    return _BT601 if height < 720 else _BT709


def _known(code: int, default: int) -> int:
    return default if code in _UNKNOWN else code


def _try(encoding: Encoding, suffix: str) -> str:
    """Open an encoder and a container on trial; return their error, or ''."""
    try:
        context = av.CodecContext.create(encoding.codec, 'w')
        assert isinstance(context, av.VideoCodecContext)
        encoding.apply(context)
        if not suffix:
            context.open()
            return ''
        output = open_trial(suffix)
        open_stream(output, encoding)
        output.start_encoding()
    except (av.FFmpegError, ValueError, OverflowError) as error:
        return explain(error)
    return ''
