"""Facts about an HDR master, and the encoders that keep them."""

import struct

import pytest

from star.video.colour.light import Light, parse_light

DISPLAY = (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329, 0.005, 1000.0)
X265 = 'G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)'
SVT = 'G(0.265,0.69)B(0.15,0.06)R(0.68,0.32)WP(0.3127,0.329)L(1000,0.005)'


def _display(known=1):
    """Lay out AVMasteringDisplayMetadata for `DISPLAY`."""
    pairs = []
    for value in DISPLAY:
        pairs += [round(value * 50000), 50000]
    return struct.pack('=20i2i', *pairs, known, known)


def test_side_data_is_parsed():
    light = parse_light(
        [
            ('MASTERING_DISPLAY_METADATA', _display()),
            ('CONTENT_LIGHT_LEVEL', struct.pack('=2I', 1000, 400)),
            ('DOVI_METADATA', b''),
            ('DOVI_RPU_BUFFER', b''),
            ('SEI_UNREGISTERED', b'x264'),
        ]
    )
    assert light.display == pytest.approx(DISPLAY)
    assert light.levels == (1000, 400)
    assert light.lost == ('Dolby Vision',)


def test_unknown_facts_are_none():
    unknown = [
        ('MASTERING_DISPLAY_METADATA', _display(known=0)),
        ('CONTENT_LIGHT_LEVEL', bytes(8)),
    ]
    assert parse_light(unknown) == Light()


@pytest.mark.parametrize(
    ('codec', 'expected'),
    [
        ('libx265', [f'master-display={X265}', 'max-cll=1000,400']),
        ('libsvtav1', [f'mastering-display={SVT}', 'content-light=1000,400']),
        ('prores_ks', []),
    ],
)
def test_parameters_of_encoders(codec, expected):
    light = Light(DISPLAY, (1000, 400), ('HDR10+',))
    assert light.options_for(codec) == expected
    lost = light.losses(codec)
    assert 'HDR10+ metadata is not kept' in lost[0]
    assert len(lost) == (1 if expected else 2)
    assert Light().options_for(codec) == Light().losses(codec) == []
