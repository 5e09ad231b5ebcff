"""Every unfair comparison has a remark, and no fair one has."""

from pathlib import Path
from typing import Any

import pytest

from star.report.comparison import compare
from star.report.markdown import to_markdown
from star.report.page import to_page
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
    assert remarks(tmp_path, runs) == [
        'warning: set, PSNR, LPIPS, Ewarp: means are over the 2 clips that '
        'all methods have; not used are a: c2'
    ]


def test_no_clip_in_all(tmp_path: Path):
    runs = [*two(), *two()]
    runs[2]['method']['name'], runs[3]['method']['name'] = 'c', 'd'
    for run in runs[2:]:
        for clip in run['clips']:
            clip['name'] += 'x'
    assert remarks(tmp_path, runs)[0] == (
        'warning: set, PSNR, LPIPS, Ewarp: no clip is common to all methods; '
        "each mean is over the method's own clips, and there are no ranks"
    )


def test_missing_metrics_and_sets(tmp_path: Path):
    runs = two()
    for clip in runs[1]['clips']:
        clip['scores']['LPIPS'] = None
        clip['scores']['Ewarp'] = None
    for name in ('other', 'third'):
        runs[0]['clips'].append(made.clip(name, 'c', {'PSNR': 30.0}))
    assert remarks(tmp_path, runs) == [
        'warning: set: no LPIPS, Ewarp of b',
        'note: other, third: no results of b',
    ]


def test_unequal_clips(tmp_path: Path):
    runs = two()
    runs[1]['clips'][0]['size'] = [1, 2]
    runs[1]['clips'][1]['num_frames'] = 4
    for metric in ('PSNR', 'LPIPS'):
        frames = runs[1]['clips'][2]['parts'][metric]['frames']
        frames[-1] = 7
    # fewer frames are scored as well, for the same reason
    for part in runs[1]['clips'][1]['parts'].values():
        part['frames'].pop()
        part['values'].pop()
    assert sorted(remarks(tmp_path, runs)) == [
        f'warning: set: {what} differ between methods in 1 clips ({clip})'
        for what, clip in [
            ('frames scored by PSNR, LPIPS', 'c2'),
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


ORIGINS = [
    {'part': 'autoencoder', 'kind': 'random', 'source': '', 'sha256': ''},
    {'part': 'unet', 'kind': 'file', 'source': 'x.pt', 'sha256': 'a' * 64},
    {'part': 'unet', 'kind': 'config', 'source': '', 'sha256': ''},
]


@pytest.mark.parametrize(
    ('kinds', 'random_init', 'text'),
    [
        (['random', 'file', 'config'], False, 'weights in autoencoder'),
        (['random', 'file', 'config'], True, 'weights in autoencoder'),
        (['random', 'file', 'random'], True, 'weights in autoencoder, unet'),
        (['random', 'random', 'config'], True, 'weights'),
        (['file', 'file', 'config'], False, ''),
    ],
)
def test_random_parts(
    tmp_path: Path, kinds: list[str], random_init: bool, text: str
):
    runs = two()
    counts = {'tensors': 3, 'parameters': 40}
    pairs = zip(ORIGINS, kinds, strict=True)
    runs[0]['method'] |= {
        'random_init': random_init,
        'origins': [o | counts | {'kind': kind} for o, kind in pairs],
    }
    expected = (
        f'warning: a had random {text}: its numbers say nothing about the '
        'method, and it has no rank'
    )
    assert remarks(tmp_path, runs) == ([expected] if text else [])
    sources = [str(tmp_path / name) for name in 'ab']
    found = compare(load_results(sources))
    ranked = [cell.rank for cell in found.sets[0].cells.values() if cell.rank]
    assert len(ranked) == (0 if text else 6)
    label = f'a (random {text})' if text else 'a'
    assert found.results['a'].label == label
    page = to_page(found, [], [])
    # in the tables of scores and methods; of differences it is the reference
    assert page.count(f'<th scope="row">{label}</th>') == 2
    assert label.replace('_', '\\_') in to_markdown(found, [])


def test_several_methods_with_one_cause(tmp_path: Path):
    runs = two()
    for run in runs:
        run['method']['random_init'] = True
        run['protocol']['input'] = 'h264 mp4'
        run['problems'] = ['DOVER: no weights']
    assert remarks(tmp_path, runs) == [
        'warning: a, b were scored on h264 mp4, which may be lossy: the loss '
        'counts against the method',
        'warning: a, b had random weights: their numbers say nothing about '
        'the methods, and they have no rank',
        'warning: a, b: DOVER: no weights',
    ]


def test_one_option_of_several_metrics(tmp_path: Path):
    runs = two()
    for metric in runs[1]['protocol']['metrics']:
        metric['options']['border'] = 4
    names = ', '.join(f'metrics.{m}.options.border' for m in made.BETTER)
    assert remarks(tmp_path, runs) == [
        f'warning: the protocols differ: {names} are 0 in a; 4 in b'
    ]


def test_another_computer(tmp_path: Path):
    """One warning for its packages and one note for its speed."""
    runs = two()
    runs[1]['protocol'] |= {'decoder': 'PyAV 15', 'device': 'cuda'}
    runs[1]['protocol'] |= {'threads': 8}
    runs[1]['protocol']['versions'] |= {'python': '3.12', 'torch': '2.14'}
    found = remarks(tmp_path, runs)
    assert [line.split(':')[0] for line in found] == ['warning', 'note']
    assert "versions.python is '3.11' in a; '3.12' in b, and" in found[0]
    assert 'decoder' in found[0] and 'torch' in found[0]
    assert 'device' in found[1] and 'threads' in found[1]


def test_thirty_clips_with_one_problem(tmp_path: Path):
    runs = two()
    runs[1]['problems'] = [
        f'{metric} of set/c{i}: no ground truth: /x/gt/c{i}.mkv'
        for i in range(30)
        for metric in ('PSNR', 'SSIM')
    ]
    runs[1]['problems'] += ['set/c1: it was not tested', 'DOVER: no weights']
    assert remarks(tmp_path, runs) == [
        'warning: b: PSNR, SSIM of 30 clips (set/c0, set/c1, set/c2, set/c3, '
        'set/c4 and 25 more): no ground truth: /x/gt/c0.mkv (of the first)',
        'warning: b: set/c1: it was not tested',
        'warning: b: DOVER: no weights',
    ]


def test_displaced_clips(tmp_path: Path):
    """Counted where the distance is above 0.25 pixels and costs something."""
    runs = two(4)
    for run in runs:
        run['clips'][-1]['dataset'] = 'other'
    for clip, (rows, columns, gain) in zip(
        runs[1]['clips'],
        [(1.5, 1.0, 2.0), (0.25, 0.25, 1.0), (2.0, 0, 0.0), (0.5, 0.5, 1.0)],
        strict=True,
    ):
        clip['shift'] = {'rows': rows, 'columns': columns, 'gain': gain}
    assert remarks(tmp_path, runs) == [
        'warning: set, other: b in 2 of 4 clips is shifted against the ground '
        'truth, by +1.00 rows and +0.75 columns (medians); undoing it would '
        'gain 1.50 dB of PSNR there. No clip was moved'
    ]
