"""Notes on how an encoded result differs from its source, and on remedies."""

from star.video import pixels
from star.video.codec_choice import Needs, keeps_alpha, list_formats
from star.video.colour import hdr
from star.video.containers import TAGGED
from star.video.encoding import Encoding
from star.video.info import VideoInfo

# codecs that carry primaries, transfer and matrix themselves
_TAGS_INSIDE = ('libx264', 'libx265', 'libsvtav1', 'prores_ks')


def loss_notes(
    source: VideoInfo, needs: Needs, encoding: Encoding, suffix: str
) -> list[str]:
    """List what of a source an encoder does not hold, a sentence each.

    Args:
        source: video that the frames come from.
        needs: of the source.
        encoding: settings of the encoder.
        suffix: of the result; '' if it is not known.
    """
    notes: list[str] = []
    if needs.deep and encoding.bits <= 8:
        notes += pixels.depth_notes(source.depth, source.color_transfer)
    elif encoding.bits < source.depth:
        notes.append(
            f'{source.depth}-bit colour is written with {encoding.bits} bits'
        )
    if encoding.transfer in hdr.NAMES:
        notes += encoding.light.losses(encoding.codec)
        if suffix not in ('', *TAGGED) and encoding.codec not in _TAGS_INSIDE:
            notes.append(
                f'{encoding.codec} in {suffix} has no place for the tags of '
                'HDR: players will show it pale; choose .mkv'
            )
    kept = encoding.alpha and keeps_alpha(encoding.codec, suffix)
    return notes if kept or not needs.alpha else [*notes, pixels.ALPHA_NOTE]


def remedies(
    needs: Needs, encoding: Encoding, suffix: str, chosen: bool
) -> list[str]:
    """List what to choose so that depth and opacity are kept.

    Args:
        needs: of the source.
        encoding: settings of the encoder.
        suffix: of the result; '' if it is not known.
        chosen: whether the user named the codec.
    """
    found, place = [], f'{encoding.codec} in {suffix or "this file"}'
    if needs.deep and encoding.bits <= 8:
        other = '.mov or .mkv' if needs.alpha else '.mp4, .mov or .mkv'
        remedy = 'leave out --codec' if chosen else f'choose {other}'
        found.append(f'{place} has 8 bits: {remedy} to keep the depth')
    if needs.alpha and not encoding.alpha:
        found.append(
            f'{place} holds no transparency: choose .mov, .webm or .mkv '
            'without --codec, or a folder of PNGs'
        )
    return found


def change_notes(wanted: Encoding, got: Encoding) -> list[str]:
    """List how settings that an encoder accepts differ from a request."""
    notes = []
    size, new = (f'{e.width}x{e.height}' for e in (wanted, got))
    if size != new:
        lines = [
            name
            for name, odd in (('row', wanted.height), ('column', wanted.width))
            if odd % 2
        ]
        notes.append(
            f'{size} is odd, which {wanted.codec} cannot store as '
            f'{wanted.pix_fmt}: written as {new}, with the last '
            f'{" and ".join(lines)} repeated ({_keeping(wanted)} keeps {size})'
        )
    if got.time_base != wanted.time_base:
        notes.append(
            f'{wanted.codec} cannot keep the clock of the source: times are '
            f'rounded to {got.time_base} s'
        )
    return notes


def _keeping(wanted: Encoding) -> str:
    """Name what would keep an odd size."""
    whole = 'yuv444p' if wanted.bits <= 8 else f'yuv444p{wanted.bits}le'
    if whole in list_formats(wanted.codec):
        return f'--pix-fmt {whole}'
    return '--codec ffv1 in .mkv'
