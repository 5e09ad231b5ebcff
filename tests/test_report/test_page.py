"""The page is valid HTML, loads nothing and escapes names."""

import csv
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from star.report.comparison import compare
from star.report.markdown import escape
from star.report.report import Report, ReportOptions, make_report
from star.report.results import load_results
from tests.test_report import made

NASTY = '<script>alert(1)</script>&"\''
VOID = {'meta', 'img', 'br', 'input'}


class Reader(HTMLParser):
    """Collects elements and fails where one is not closed."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else '', data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]

    def text(self, tag: str) -> list[str]:
        return [data for name, data in self.texts if name == tag]


def read(report: Report) -> Reader:
    reader = Reader()
    reader.feed(report.files['index.html'])
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture
def report(tmp_path: Path) -> Report:
    runs = made.pictured_runs(tmp_path, ['star', NASTY], NASTY)
    return make_report(compare(load_results(runs)), ReportOptions())


def test_names_are_escaped(report: Report):
    page = read(report)
    (script,) = page.all('script')
    assert NASTY not in report.files['index.html']
    assert 'alert' not in ''.join(page.text('script'))
    assert f'set/{NASTY}' in page.text('h3')
    assert page.text('th').count(NASTY) >= 3
    assert {'src', 'href'}.isdisjoint(script)


def test_nothing_is_loaded(report: Report):
    page = read(report)
    assert page.all('link') == []
    images = [image['src'] or '' for image in page.all('img')]
    assert len(images) == 3 * 4  # whole, crop and row of four versions
    assert all(src.startswith('data:image/jpeg;base64,') for src in images)
    assert '://' not in report.files['index.html']


def test_pictures_are_told(report: Report):
    alts = [image['alt'] for image in read(report).all('img')]
    assert alts[0] == f'set/{NASTY}, frame 2: low quality, enlarged'
    assert alts[2] == f'set/{NASTY}, frame 2: star'
    assert len(set(alts)) == len(alts)


def test_tables_hold_the_numbers(report: Report):
    page = read(report)
    assert '31.00' in page.text('b')  # best PSNR
    assert '30.00' in page.text('u')
    assert 'set (1 clip)' in page.text('caption')
    scopes = [attributes.get('scope') for attributes in page.all('th')]
    assert None not in scopes


def test_curves_of_all_metrics(report: Report):
    labels = [s.get('aria-label') for s in read(report).all('svg')]
    named = [label.split(':')[0] for label in labels if label]
    assert named == ['PSNR', 'LPIPS', 'Ewarp']


def test_without_restored_clips(tmp_path: Path):
    """Tables and curves remain, and the page says how to get the rest."""
    sources = []
    for name in 'ab':
        data = made.results(name, [made.clip('set', 'c', {'PSNR': 30.0})])
        sources.append(str(made.write(tmp_path / name, data)))
    report = make_report(compare(load_results(sources)), ReportOptions())
    page = read(report)
    assert (report.clips, report.pictured) == (1, 0)
    assert page.all('img') == []
    assert any('--save png' in text for text in page.text('p'))
    assert [s['aria-label'] for s in page.all('svg') if 'aria-label' in s]


def test_a_method_without_pictures_is_named(tmp_path: Path):
    runs = made.pictured_runs(tmp_path, ['a', 'b'], 'clip')
    for file in (tmp_path / 'b/restored/set/clip').iterdir():
        file.unlink()
    (tmp_path / 'b/restored/set/clip').rmdir()
    page = read(make_report(compare(load_results(runs)), ReportOptions()))
    assert any('No pictures of b:' in text for text in page.text('p'))


def test_a_ground_truth_that_is_gone_is_named(tmp_path: Path):
    runs = made.pictured_runs(tmp_path, ['a', 'b'], 'clip')
    (tmp_path / 'gt').rename(tmp_path / 'moved')
    page = read(make_report(compare(load_results(runs)), ReportOptions()))
    expected = f'ground truth: {tmp_path / "gt"} is missing.'
    assert expected in page.text('p')
    assert len(page.all('img')) == 3 * 3


def test_a_set_without_scores(tmp_path: Path):
    clips = [made.clip('set', 'c', {'PSNR': 30.0})]
    clips += [made.clip('real', 'c', {'PSNR': None})]
    source = str(made.write(tmp_path, made.results('a', clips)))
    report = make_report(compare(load_results([source])), ReportOptions())
    assert 'real (no scores)' in read(report).text('caption')
    assert '## real (no scores)' in report.files['report.md']


def test_a_ground_truth_that_cannot_be_read(tmp_path: Path):
    runs = made.pictured_runs(tmp_path, ['a', 'b'], 'clip')
    for file in (tmp_path / 'gt').iterdir():
        file.write_bytes(b'no image')
    report = make_report(compare(load_results(runs)), ReportOptions())
    (remark,) = report.remarks
    assert remark.text.startswith('set/clip: no pictures: ')
    assert [t for t in read(report).text('p') if t.startswith('no pictures')]
    assert report.pictured == 0


def test_warnings_follow_the_tables(tmp_path: Path):
    runs = made.pictured_runs(tmp_path, ['a', 'b'], 'clip')
    loaded = load_results(runs)
    loaded[0].method['random_init'] = True
    page = read(make_report(compare(loaded), ReportOptions()))
    (item,) = [text for text in page.text('li') if 'random weights' in text]
    assert item.strip().startswith('a had random weights')
    assert page.text('h2') == ['set', 'Warnings', 'Clips', 'Methods']
    assert 'a (random weights)' in page.text('th')
    (link,) = page.all('a')
    assert link['href'] == '#warnings' and page.text('a') == ['1 warning']


def test_versions_that_are_compared_first(tmp_path: Path):
    """The reference and the best of the others by the first metric."""
    runs = made.pictured_runs(tmp_path, ['a', 'b', 'c'], 'clip')
    options = ReportOptions()
    for reference, best in (('a', 'c'), ('c', 'b')):
        page = read(
            make_report(compare(load_results(runs), reference), options)
        )
        shown = [d for d in page.all('div') if 'data-left' in d]
        assert [d['class'] for d in shown] == ['viewer', 'player']
        pairs = {(d['data-left'], d['data-right']) for d in shown}
        assert pairs == {(reference, best)}


def test_a_video_of_all_versions(report: Report):
    page = read(report)
    (player,) = [d for d in page.all('div') if d.get('class') == 'player']
    names = ['low quality, enlarged', 'ground truth', 'star', NASTY]
    assert json.loads(player['data-names'] or '') == names
    facts = ('columns', 'width', 'height', 'frames', 'fps')
    found = [player[f'data-{name}'] for name in facts]
    assert found == ['2', '96', '64', '5', '25.0']
    (video,) = page.all('video')
    assert (video['src'] or '').startswith('data:video/mp4;base64,')
    assert {'controls', 'loop', 'muted'} <= video.keys()


def test_origins_of_the_weights(tmp_path: Path):
    data = made.results('a', [made.clip('set', 'c', {'PSNR': 30.0})])
    older = made.results('b', [made.clip('set', 'c', {'PSNR': 30.0})])
    older['method']['weights'] = {'old.pt': 'b' * 64}
    keys = ('part', 'kind', 'source', 'sha256', 'tensors', 'parameters')
    rows = [
        ('autoencoder', 'random', '', '', 248, 83653863),
        ('unet', 'file', 'light_deg.pt', 'a1b2' * 16, 10, 2000),
        ('schedule', 'config', '', '', 1, 1000),
        ('controlnet', 'config', '', '', 1, 0),
    ]
    data['method']['origins'] = [
        dict(zip(keys, row, strict=True)) for row in rows
    ]
    sources = [
        str(made.write(tmp_path / d['method']['name'], d))
        for d in (data, older)
    ]
    report = make_report(compare(load_results(sources)), ReportOptions())
    weights = (
        'autoencoder: RANDOM numbers, 83,653,863 values; unet: light_deg.pt '
        '(SHA-256 a1b2a1b2a1b2), 2,000 values; schedule: computed by the '
        'config, 1,000 values'
    )
    assert weights in read(report).text('td')
    assert 'old.pt' in read(report).text('td')
    assert escape(weights) in report.files['report.md']
    assert 'a (random weights in autoencoder)' in report.files['report.md']
    lines = csv.DictReader(report.files['table.csv'].splitlines())
    assert [(r['method'], r['random']) for r in lines] == [
        ('a', 'random weights in autoencoder'),
        ('b', ''),
    ]
    saved = json.loads(report.files['report.json'])
    assert saved['methods']['a']['method']['origins'][0]['kind'] == 'random'
