"""`star benchmark`: pages, and what is refused."""

import json
from pathlib import Path

import pytest

from tests.test_cli.conftest import Star
from tests.test_report import made


def runs(folder: Path) -> list[str]:
    return made.pictured_runs(folder, ['a', 'b'], 'clip')


def test_makes_a_report(star: Star, tmp_path: Path):
    out = tmp_path / 'report'
    options = ['--out', out, '--reference', 'b', '--crop', 60, 8, 32, 16]
    done = star('benchmark', *runs(tmp_path), *options)
    assert (done.code, done.err) == (0, '')
    assert done.out.startswith(f'{out / "index.html"}: 0.')
    assert done.out.endswith('MiB, 1 clips, 1 with pictures\n')
    assert sorted(path.name for path in out.iterdir()) == [
        *('index.html', 'report.json', 'report.md', 'table.csv')
    ]
    data = json.loads((out / 'report.json').read_text(encoding='utf-8'))
    gains = {r['method']: r['difference'] for r in data['rows']}
    assert gains == {'a': 0, 'b': None}  # of Ewarp, the last metric
    page = (out / 'index.html').read_text(encoding='utf-8')
    assert 'Crop of 32x16 at column 60, row 8' in page


def test_clips_play_or_not(star: Star, tmp_path: Path):
    sources = runs(tmp_path)
    for words, frames in ((['--play', 3], 3), ([], 5), (['--play', 0], 0)):
        out = tmp_path / f'report{frames}'
        assert star('benchmark', *sources, '--out', out, *words).code == 0
        page = (out / 'index.html').read_text(encoding='utf-8')
        assert page.count('<video ') == bool(frames)
        assert (f'data-frames="{frames}"' in page) == bool(frames)


def test_a_set_that_is_not_the_papers(star: Star, tmp_path: Path):
    """No row of the paper in any file; the tables say why."""
    data = made.results('RealViformer', [made.clip('UDM10', 'c', {'PSNR': 1})])
    data['method']['type'] = 'SavedResults'
    source = made.write(tmp_path / 'run', data)
    out = tmp_path / 'report'
    assert star('benchmark', source, '--out', out).code == 0
    texts = {p.name: p.read_text(encoding='utf-8') for p in out.iterdir()}
    assert not [name for name, text in texts.items() if '24.00' in text]
    for name in ('index.html', 'report.md', 'report.json'):
        assert texts[name].count('1 clips, not 10 clips') == 1


def test_the_same_again(star: Star, tmp_path: Path):
    """Equal input gives equal bytes, and an older report is replaced."""
    sources = runs(tmp_path)
    out = tmp_path / 'report'
    files = []
    for _ in range(2):
        assert star('benchmark', *sources, '--out', out).code == 0
        files.append({p.name: p.read_bytes() for p in out.iterdir()})
    assert files[0] == files[1]


def test_warnings_are_printed(star: Star, tmp_path: Path):
    first, second = runs(tmp_path)
    path = Path(second) / 'results.json'
    data = json.loads(path.read_text(encoding='utf-8'))
    data['protocol']['decoder'] = 'cv2'
    path.write_text(json.dumps(data), encoding='utf-8')
    done = star('benchmark', first, second, '--out', tmp_path / 'report')
    assert done.code == 0
    assert done.err == (
        "warning: the protocols differ: decoder is 'PyAV 14 (FFmpeg 7)' in "
        "a; 'cv2' in b\n"
    )
    text = (tmp_path / 'report' / 'report.md').read_text(encoding='utf-8')
    assert '- warning: the protocols differ: decoder is' in text


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (['nowhere'], 'error: nowhere has no results.json; `star test` wr'),
        (['{a}'], "are both named 'a'; call one NAME=FOLDER"),
        (['--reference', 'c'], '`reference` must be one of a, b, got'),
        (['--clips', 'set/x'], "error: no method has the clip 'set/x'"),
        (['--crop', '1', '2', '0', '4'], '`crop` must be LEFT TOP >= 0'),
        (['--pictures', '-1'], '`clips_per_set` must be >= 0, got -1'),
        (['--longest', '0'], '`longest` must be >= 1, got 0'),
        (['--play', '-1'], '`play_frames` must be >= 0, got -1'),
        (['--nonsense'], 'error: unrecognized arguments: --nonsense'),
        (['--out', '{a}/results.json'], 'results.json is a file, no folder'),
    ],
)
def test_wrong_use_takes_one_line(
    star: Star, tmp_path: Path, change: list[str], message: str
):
    sources = runs(tmp_path)
    change = [word.format(a=sources[0]) for word in change]
    first = [] if change[0].startswith('-') else [change.pop()]
    out = ['--out', tmp_path / 'o']
    done = star('benchmark', *first, *sources, *out, *change)
    assert message in f'error: {done.error}'
    assert not (tmp_path / 'o').exists()
