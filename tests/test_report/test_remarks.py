"""Every unfair comparison has a remark, and no fair one has."""

from pathlib import Path
from typing import Any

import pytest

from star.report.comparison import compare
from star.report.remarks import find_remarks
from star.report.results import load_results
from tests.test_report import made


def two(count: int = 3) -> list[dict[str, Any]]:
    scores = {'PSNR': 30.0, 'LPIPS': 0.2, 'Ewarp': 3.0}
    return [
        made.results(
            name, [made.clip('set', f'c{i}', scores) for i in range(count)]
        )
        for name in 'ab'
    ]


def remarks(folder: Path, runs: list[dict[str, Any]]) -> list[str]:
    sources = [str(made.write(folder / r['method']['name'], r)) for r in runs]
    found = find_remarks(compare(load_results(sources)))
    return [f'{remark.level}: {remark.text}' for remark in found]


def test_equal_protocols_are_fine(tmp_path: Path):
    assert remarks(tmp_path, two()) == []


@pytest.mark.parametrize(
    ('path', 'value', 'expected'),
    [
        (
            ('metrics', 2, 'options', 'preset'),
            'lai',
            'warning: the protocols differ: metrics.Ewarp.options.preset is '
            "'plain' in a; 'lai' in b",
        ),
        (
            ('metrics', 1, 'weights', 'alex.pth'),
            'ab12',
            'warning: the protocols differ: metrics.LPIPS.weights is [] in a; '
            "[('alex.pth', 'ab12')] in b",
        ),
        (
            ('versions', 'torch'),
            '2.12',
            "warning: the protocols differ: versions.torch is '2.13' in a; "
            "'2.12' in b",
        ),
        (
            ('decoder',),
            'cv2',
            "warning: the protocols differ: decoder is 'PyAV 14 (FFmpeg 7)' "
            "in a; 'cv2' in b",
        ),
        (
            ('device',),
            'cuda',
            "note: times and memory do not compare: device is 'cpu' in a; "
            "'cuda' in b",
        ),
        (
            ('input',),
            'ffv1 mkv, h264 mp4, jpg/png frames',
            'warning: b was scored on h264 mp4, jpg/png frames, which may be '
            'lossy: the loss counts against the method',
        ),
        (('input',), 'ffv1 mkv, png/tif frames', None),
        (('seed',), '1', None),
        (
            ('metrics', 0, 'options', 'every'),
            '2',
            'warning: the protocols differ: metrics.PSNR.options.every is '
            "not set in a; '2' in b",
        ),
        (
            ('fingerprint',),
            'e' * 64,
            'warning: the fingerprints of the protocols differ, but none of '
            'the recorded settings does',
        ),
    ],
)
def test_differing_protocols(
    tmp_path: Path, path: tuple, value: str, expected: str | None
):
    runs = two()
    place: Any = runs[1]['protocol']
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert remarks(tmp_path, runs) == ([expected] if expected else [])


def test_a_difference_explains_the_fingerprint(tmp_path: Path):
    runs = two()
    runs[1]['protocol'] |= {'fingerprint': 'e' * 64, 'decoder': 'x'}
    (found,) = remarks(tmp_path, runs)
    assert 'decoder' in found
    del runs[1]['protocol']['metrics'][0]['options']['preset']
    runs[1]['protocol'] |= {'decoder': runs[0]['protocol']['decoder']}
    (found,) = remarks(tmp_path, runs)
    assert "PSNR.options.preset is 'plain' in a; not set in b" in found


def test_a_metric_more_explains_the_fingerprint(tmp_path: Path):
    runs = two()
    runs[1]['protocol']['fingerprint'] = 'e' * 64
    runs[1]['protocol']['metrics'].pop()
    for clip in runs[1]['clips']:
        del clip['scores']['Ewarp'], clip['parts']['Ewarp']
    assert remarks(tmp_path, runs) == ['warning: set: no Ewarp of b']


def test_other_clips(tmp_path: Path):
    runs = two()
    runs[1]['clips'].pop()
    found = remarks(tmp_path, runs)
    assert found[0] == (
        'warning: set, PSNR: means are over the 2 clips that all methods '
        'have; not used are a: c2'
    )
    assert len(found) == 3  # one for each metric


def test_no_clip_in_all(tmp_path: Path):
    runs = [*two(), *two()]
    runs[2]['method']['name'], runs[3]['method']['name'] = 'c', 'd'
    for run in runs[2:]:
        for clip in run['clips']:
            clip['name'] += 'x'
    assert remarks(tmp_path, runs)[0] == (
        'warning: set, PSNR: no clip is common to all methods; each mean is '
        "over the method's own clips, and there are no ranks"
    )


def test_missing_metrics_and_sets(tmp_path: Path):
    runs = two()
    for clip in runs[1]['clips']:
        clip['scores']['LPIPS'] = None
    runs[0]['clips'].append(made.clip('other', 'c', {'PSNR': 30.0}))
    assert remarks(tmp_path, runs) == [
        'warning: set: no LPIPS of b',
        'note: other: no results of b',
    ]


def test_unequal_clips(tmp_path: Path):
    runs = two()
    runs[1]['clips'][0]['size'] = [1, 2]
    runs[1]['clips'][1]['num_frames'] = 4
    runs[1]['clips'][2]['parts']['PSNR']['frames'] = [0, 1, 2, 3, 7]
    assert sorted(remarks(tmp_path, runs)) == [
        f'warning: set: {what} differ between methods in 1 clips ({clip})'
        for what, clip in [
            ('frames scored by PSNR', 'c2'),
            ('numbers of frames', 'c1'),
            ('output sizes', 'c0'),
        ]
    ]


def test_random_weights_and_problems(tmp_path: Path):
    runs = two()
    runs[0]['method']['random_init'] = True
    runs[1]['problems'] = ['DOVER: no weights']
    assert remarks(tmp_path, runs) == [
        'warning: a had random weights: its numbers say nothing about the '
        'method, and it has no rank',
        'warning: b: DOVER: no weights',
    ]


def test_displaced_clips(tmp_path: Path):
    """Counted where the distance is above 0.25 pixels and costs something."""
    runs = two(4)
    for clip, (rows, columns, gain) in zip(
        runs[1]['clips'],
        [(1.5, 1.0, 2.0), (0.5, 0.5, 1.0), (0.25, 0.25, 1.0), (2.0, 0, 0.0)],
        strict=True,
    ):
        clip['shift'] = {'rows': rows, 'columns': columns, 'gain': gain}
    assert remarks(tmp_path, runs) == [
        'warning: set: b in 2 of 4 clips is shifted against the ground '
        'truth, by +1.00 rows and +0.75 columns (medians); undoing it would '
        'gain 1.50 dB of PSNR there. No clip was moved'
    ]
