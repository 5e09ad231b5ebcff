"""The record of trust, and what it warns of."""

import hashlib
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from star.apis.inference.borders import Borders
from star.apis.inference.trust import EQUAL
from star.apis.inference.trust_facts import (
    FileFacts,
    TrustFacts,
    describe_clip,
    restored_by,
    summarise,
    write_trust,
)
from star.models.restoration.options import RestoreOptions
from tests.test_apis.clips import add_tone, write_clip

CLIP = FileFacts('in.mp4', 'ab', 10, 50, (32, 24), 2.0, 2.0, 0.0)
FACTS = TrustFacts(CLIP, replace(CLIP, name='out.mp4', size=(128, 96)), {})


def row(frame: int, **changes: Any) -> dict[str, Any]:
    made = {
        'frame': frame,
        'time': frame / 25,
        'psnr': 40.0,
        'drift': [0.5, 0.0, -0.5],
        'change_lq': 2.0,
        'change_pred': 2.0,
        'change_fine': 2.4,
        **changes,
    }
    if not frame:
        made |= dict.fromkeys(('change_lq', 'change_pred', 'change_fine'))
    return made


def rows(**changes: Any) -> list[dict[str, Any]]:
    return [row(i, **changes) for i in range(50)]


def test_a_clip_is_described_by_its_file(tmp_path: Path) -> None:
    src = write_clip(tmp_path / 'in.mkv', 25)
    path = add_tone(src, tmp_path / 'tone.mkv')
    found = describe_clip(path, 25, (32, 24), 'shown.mkv')
    data = path.read_bytes()
    assert found.name == 'shown.mkv' and found.frames == 25
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert found.bytes == len(data)
    assert found.picture_seconds == pytest.approx(1.72, abs=0.07)
    assert found.sound_seconds == pytest.approx(1, abs=0.07)
    assert found.offset == pytest.approx(0, abs=0.07)
    silent = describe_clip(src, 25, (32, 24), sha256='known')
    assert (silent.name, silent.sha256) == ('in.mkv', 'known')
    assert silent.sound_seconds is None and silent.offset is None


def test_a_folder_is_described_by_its_files(tmp_path: Path) -> None:
    for name in 'ab':
        (tmp_path / f'{name}.png').write_bytes(b'123')
    found = describe_clip(tmp_path, 2, (32, 24))
    assert (found.bytes, found.picture_seconds) == (6, None)


def test_the_summary_is_of_all_frames(tmp_path: Path) -> None:
    given = rows()
    given[7]['psnr'] = 36.0
    given[8]['psnr'] = 37.0  # beside it
    given[40] |= {'psnr': 38.0, 'drift': [-3, 0, 0]}
    given[20] |= {'change_lq': 90.0, 'change_pred': 9.0}  # a cut
    record = summarise(given, replace(FACTS, scenes=(0, 20)))
    path = tmp_path / 'out.mp4.star.json'
    write_trust(path, record)
    assert json.loads(path.read_text()) == json.loads(json.dumps(record))
    found = record['summary']
    assert found['psnr'] == pytest.approx((40 * 47 + 36 + 37 + 38) / 50)
    assert found['least_psnr'] == 36
    worst = found['worst_frames']
    assert [w['frame'] for w in worst[:2]] == [7, 40]
    assert 8 not in [w['frame'] for w in worst]
    assert worst[0]['time'] == 7 / 25
    assert found['drift'] == pytest.approx([0.43, 0, -0.49])
    assert found['largest_drift'] == 3
    assert found['flicker'] == 1 and found['fine_flicker'] == 1.2
    assert record['frames']['psnr'][7] == 36
    assert record['frames']['drift_red'][40] == -3
    assert record['warnings'] == []


def test_a_still_picture_has_no_flicker() -> None:
    record = summarise([row(0, psnr=EQUAL)], FACTS)
    assert record['summary']['flicker'] is None
    assert record['summary']['psnr'] == EQUAL


@pytest.mark.parametrize(
    ('changes', 'warning'),
    [
        ({'change_pred': 3.0}, 'flickers: its frames change 1.5 times'),
        ({'change_fine': 4.0}, 'Fine detail flickers: it changes from'),
        ({'drift': [0.1, 6.0, -7.0]}, 'green by +6.0, blue by -7.0 of 255'),
        ({'psnr': 12.0}, 'strongly from the input at 50 of 50 frames: 0 (0:'),
    ],
)
def test_measurements_give_warnings(
    changes: dict[str, Any], warning: str
) -> None:
    (found,) = summarise(rows(**changes), FACTS)['warnings']
    assert warning in found


def test_the_frames_that_differ_are_named() -> None:
    given = rows()
    for i in (10, 30):
        given[i]['psnr'] = 28.0
    (found,) = summarise(given, FACTS)['warnings']
    assert found == (
        'The result differs strongly from the input at 2 of 50 frames: '
        '10 (0:00:00.40), 30 (0:00:01.20) (least 28.0 dB)'
    )


@pytest.mark.parametrize(
    ('changes', 'warning'),
    [
        ({'frames': 49}, 'The input has 50 frames, the result 49'),
        ({'picture_seconds': 1.68}, 'picture is 0.32 s shorter than'),
        ({'sound_seconds': 1.5}, 'The sound ends 0.50 s earlier than'),
        ({'offset': 0.05}, 'sound begins 0.050 s later against'),
        ({'offset': None, 'sound_seconds': None}, 'sound of the input is not'),
    ],
)
def test_files_give_warnings(changes: dict[str, Any], warning: str) -> None:
    facts = replace(FACTS, output=replace(FACTS.output, **changes))
    (found,) = summarise(rows(), facts)['warnings']
    assert warning in found


def test_what_nobody_sees_or_hears_gives_no_warning() -> None:
    given = rows(psnr=EQUAL)
    given[10]['psnr'] = 43.0  # a close frame among equal ones
    early = replace(FACTS.output, offset=-0.021)  # by AAC's silent packet
    assert not summarise(given, replace(FACTS, output=early))['warnings']
    for name in ('a.avi', 'a.mxf', 'a.ogv'):
        silent = replace(FACTS.output, name=name, offset=0.5)
        assert not summarise(rows(), replace(FACTS, output=silent))['warnings']


@pytest.mark.parametrize(
    ('name', 'offset', 'frame', 'warns'),
    [
        ('a.ts', -0.093, 0.0929, False),  # AAC at 11025 Hz
        ('a.ts', -0.093, 0.0213, True),
        ('a.wmv', 0.043, 0.0427, False),
        ('a.mkv', 0.043, 0.0427, True),
    ],
)
def test_a_frame_of_sound_may_be_silent(
    name: str, offset: float, frame: float, warns: bool
) -> None:
    output = replace(FACTS.output, name=name, offset=offset, sound_frame=frame)
    found = summarise(rows(), replace(FACTS, output=output))['warnings']
    assert bool(found) == warns


def test_the_first_frames_of_a_film_are_shorter() -> None:
    output = replace(FACTS.output, picture_seconds=1.0, sound_seconds=1.0)
    facts = replace(FACTS, output=output, files={'frames': 50})
    assert summarise(rows(), facts)['warnings'] == []


def test_random_weights_and_borders_are_recorded() -> None:
    facts = replace(
        FACTS, weights={'random': True}, borders=Borders(segments=(16,))
    )
    record = summarise(rows(), facts)
    assert 'random numbers' in record['warnings'][0]
    assert record['borders']['segments'] == [16]


def test_the_mark_names_method_and_scale() -> None:
    text = restored_by('configs/star/i2vgen.py', RestoreOptions(), '1.2')
    assert text == 'Restored by star 1.2, i2vgen, scale x4'
    options = RestoreOptions(scale=float(Fraction(3, 2)))
    assert restored_by('bicubic', options, '1.2').endswith('scale x1.5')
