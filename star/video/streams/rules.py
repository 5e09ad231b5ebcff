"""The codecs that play in each container, and what replaces the others.

FFmpeg writes more than players, or FFmpeg itself, read again: MPEG-TS takes
every codec, AVI loses the rate of ADPCM. Codecs have FFmpeg's canonical
names. A container that is not listed takes what FFmpeg takes.
"""

import av

_MOV = frozenset({'mov', 'mp4', 'ipod', '3gp', '3g2', 'psp', 'f4v', 'ismv'})
_MPEG_PS = ('mpeg', 'vob', 'dvd', 'svcd', 'vcd')


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MP4 = {'audio': _names('aac mp3 mp2 ac3 eac3 alac flac opus dts')}
_AVI = {
    'audio': _names('pcm_s16le pcm_s24le pcm_s32le pcm_u8 mp3 mp2 ac3'),
    'subtitle': _names(''),
    'video': _names(
        'mpeg4 msmpeg4v2 msmpeg4v3 mjpeg dvvideo ffv1 huffyuv ffvhuff '
        'utvideo rawvideo'
    ),
}
_TS = {
    'audio': _names('aac aac_latm mp2 mp3 ac3 eac3 dts truehd opus'),
    'subtitle': _names('dvb_subtitle dvb_teletext hdmv_pgs_subtitle'),
    'video': _names('h264 hevc vvc mpeg1video mpeg2video mpeg4 vc1'),
    'data': _names('klv timed_id3 scte_35 smpte_2038'),
}
_PS = {
    'audio': _names('mp2 mp3 ac3 dts pcm_dvd'),
    'subtitle': _names('dvd_subtitle'),
    'video': _names('mpeg1video mpeg2video'),
}
_PLAYED = {
    'mp4': _MP4,
    'ipod': _MP4,
    'avi': _AVI,
    'mpegts': _TS,
    **dict.fromkeys(_MPEG_PS, _PS),
}
_OGG = ('ogg', 'ogv', 'oga')
# containers whose sound begins with the picture; FLAC has no times in Ogg
FROM_ZERO = frozenset({'avi', 'mxf', *_OGG})
GAPLESS = frozenset({'mxf'})  # the picture ends where a sound has no more
_UNCOMPRESSED = ('mov', 'avi', 'mxf')  # where PCM replaces FLAC and its like
_WIDE = 2  # bytes of a sample; those of more need 24 bits
_SOUND = {
    'matroska': ('flac',),
    'webm': ('libopus',),
    **dict.fromkeys(_OGG, ('libopus', 'flac')),
    'avi': ('pcm_s16le',),  # AVI takes no delay and no variable rate
    'asf': ('wmav2', 'pcm_s16le'),
    'mxf': ('pcm_s16le',),
    'mpegts': ('aac', 'ac3'),
    **dict.fromkeys(_MPEG_PS, ('ac3', 'mp2')),
}
_ANY_SOUND = ('aac', 'flac', 'libopus', 'ac3', 'pcm_s16le')
_TEXT = {'matroska': ('subrip',), 'webm': ('webvtt',)}
_ANY_TEXT = ('mov_text', 'subrip', 'webvtt')


def plays(
    container: str, stream: av.stream.Stream, same: bool, late: bool
) -> bool:
    """Return whether players read what FFmpeg writes.

    Args:
        container: FFmpeg's name of the format that is written.
        stream: of the source.
        same: the source has the same suffix; what it holds in QuickTime's
            family it may keep.
        late: the stream does not begin with the result, as AVI asks for.
    """
    if stream.type == 'attachment' and container != 'matroska':
        return False
    if is_cover(stream):
        return container == 'mp4'
    if container in _MOV and same:
        return True
    if stream.type == 'data' and container != 'mpegts':
        return False
    if container in _MOV and stream.type == 'subtitle' and is_bitmap(stream):
        return False
    if stream.type == 'audio' and _is_rewritten(container, stream, late):
        return False
    known = _PLAYED.get(container, {}).get(stream.type)
    return known is None or canonical(stream) in known


def _is_rewritten(
    container: str, stream: av.stream.Stream, late: bool
) -> bool:
    """Return whether silence has to be put around a stream of sound."""
    if container in GAPLESS:
        return True
    in_ogg = container in _OGG and canonical(stream) != 'flac'
    return late and container in FROM_ZERO and not in_ogg


def is_quicktime(target: av.stream.Stream) -> bool:
    """Return whether a stream belongs to a MOV or one of its family."""
    return target.container.format.name in _MOV


def canonical(stream: av.stream.Stream) -> str:
    """Return the name of a stream's codec, '' if FFmpeg has none."""
    if stream.codec_context is None:
        return stream.name or '' if stream.type == 'data' else ''
    return stream.codec_context.codec.canonical_name


def is_bitmap(stream: av.stream.Stream) -> bool:
    """Return whether a stream of subtitles holds pictures."""
    context = stream.codec_context
    return context is not None and bool(context.codec.bitmap_sub)


def is_lossless(stream: av.stream.Stream) -> bool:
    """Return whether a stream's codec keeps every bit."""
    codec = stream.codec_context.codec
    return bool(codec.lossless) and codec.canonical_name != 'dts'


def is_wide(stream: av.stream.Stream) -> bool:
    """Return whether a stream of sound has more than 16 bits."""
    form = getattr(stream.codec_context, 'format', None)
    return form is not None and form.bytes > _WIDE


def is_cover(stream: av.stream.Stream) -> bool:
    """Return whether a video stream is a single picture, such as a cover."""
    flag = av.stream.Disposition.attached_pic
    return stream.type == 'video' and bool(stream.disposition & flag)


def encoders(container: str, stream: av.stream.Stream) -> tuple[str, ...]:
    """Return the encoders to try for a stream that cannot be copied."""
    if stream.codec_context is None:
        return ()
    if stream.type == 'audio':
        if is_lossless(stream) and container in _UNCOMPRESSED:
            return ('pcm_s24le',) if is_wide(stream) else ('pcm_s16le',)
        if is_lossless(stream) and container in _OGG:
            return ('flac',)
        return _SOUND.get(container, _ANY_SOUND)
    if stream.type != 'subtitle' or is_bitmap(stream):
        return ()
    if 'subtitle' in _PLAYED.get(container, {}):
        return ()  # FFmpeg writes text there that nothing shows
    return _TEXT.get(container, _ANY_TEXT)
