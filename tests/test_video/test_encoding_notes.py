from dataclasses import replace
from fractions import Fraction

import pytest

from star.video.encoding import Encoding
from star.video.encoding_notes import change_notes

ODD = Encoding(
    codec='libx264',
    pix_fmt='yuv420p',
    width=63,
    height=50,
    time_base=Fraction(1, 25),
    rate=Fraction(25),
    crf=17,
    aspect=Fraction(1),
    primaries=1,
    transfer=1,
)


@pytest.mark.parametrize(
    ('codec', 'remedy'),
    [
        ('libx264', '--pix-fmt yuv444p'),
        ('libvpx-vp9', '--pix-fmt yuv444p'),
        ('wmv2', '--codec ffv1 in .mkv'),
        ('mpeg2video', '--codec ffv1 in .mkv'),
    ],
)
def test_what_keeps_an_odd_size_can_keep_it(codec: str, remedy: str) -> None:
    wanted = replace(ODD, codec=codec)
    (note,) = change_notes(wanted, replace(wanted, width=64))
    assert note.startswith(f'63x50 is odd, which {codec} cannot store')
    assert note.endswith(f'the last column repeated ({remedy} keeps 63x50)')
