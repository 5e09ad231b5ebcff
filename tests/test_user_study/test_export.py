"""Tables and charts against votes counted by hand."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from star.user_study.charts import draw_bars, draw_pies
from star.user_study.export import export_study
from star.user_study.statistics import wilson
from star.user_study.store import QUESTIONS, Store, Vote
from star.user_study.summary import counted, summarise
from tests.test_user_study.made import prepare, save_methods, shown

CLIPS = ('a/one', 'b/two')


def vote(
    person: int, dataset: str, method: str, question: str = 'quality'
) -> Vote:
    place = (1, question, method, 1, '2026-01-01T00:00:00.000+00:00', True)
    return Vote(person, False, dataset, 'x', *place)


VOTES = [
    *(vote(1, 'a', 'alpha'), vote(1, 'b', 'alpha')),
    *(vote(2, 'a', 'alpha'), vote(2, 'b', 'beta')),
    vote(2, 'b', 'gamma', 'consistency'),
]


def test_counts():
    found = summarise(VOTES, ['alpha', 'beta', 'gamma'])
    counts = {
        (s.dataset, s.question, s.method): (s.votes, s.total, s.participants)
        for s in found
    }
    assert counts == {
        ('all', 'quality', 'alpha'): (3, 4, 2),
        ('all', 'quality', 'beta'): (1, 4, 2),
        ('all', 'quality', 'gamma'): (0, 4, 2),
        ('all', 'consistency', 'alpha'): (0, 1, 1),
        ('all', 'consistency', 'beta'): (0, 1, 1),
        ('all', 'consistency', 'gamma'): (1, 1, 1),
        ('a', 'quality', 'alpha'): (2, 2, 2),
        ('a', 'quality', 'beta'): (0, 2, 2),
        ('a', 'quality', 'gamma'): (0, 2, 2),
        ('b', 'quality', 'alpha'): (1, 2, 2),
        ('b', 'quality', 'beta'): (1, 2, 2),
        ('b', 'quality', 'gamma'): (0, 2, 2),
        ('b', 'consistency', 'alpha'): (0, 1, 1),
        ('b', 'consistency', 'beta'): (0, 1, 1),
        ('b', 'consistency', 'gamma'): (1, 1, 1),
    }


def test_intervals():
    first, second, *_ = summarise(VOTES, ['alpha', 'beta', 'gamma'])
    assert (first.share, second.share) == (0.75, 0.25)
    assert first.wilson == wilson(3, 4)
    # person 1: 2 of 2, person 2: 1 of 2
    assert first.bootstrap is not None
    assert (first.bootstrap.low, first.bootstrap.high) == (0.5, 1)
    found = summarise(VOTES, ['alpha', 'beta', 'gamma'])
    alone = [s for s in found if s.participants == 1]
    assert len(alone) == 6 and {share.bootstrap for share in alone} == {None}


def test_one_set_is_not_counted_twice():
    votes = [v for v in VOTES if v.dataset == 'a']
    assert {s.dataset for s in summarise(votes, ['alpha'])} == {'all'}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two participants who know what they see; the second stops early."""
    store = prepare(tmp_path, save_methods(tmp_path, CLIPS))[0]
    first, second = store.join(), store.join()
    for i, methods in enumerate(shown(store, first)):
        for question in QUESTIONS:
            store.vote(first, i, question, methods.index('gamma'))
            store.vote(first, i, question, methods.index('beta'))
    store.finish(first)
    methods = shown(store, second)[0]
    store.vote(second, 0, 'quality', methods.index('alpha'))
    return store


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text('utf-8'))))


def test_votes_of_both(store: Store, tmp_path: Path):
    export_study(store, tmp_path / 'out')
    found = rows(tmp_path / 'out' / 'votes.csv')
    assert len(found) == 9
    kept = [
        (r['participant'], r['method']) for r in found if r['counts'] == '1'
    ]
    assert kept == [('1', 'beta')] * 4 + [('2', 'alpha')]
    assert {r['finished'] for r in found if r['participant'] == '2'} == {'0'}
    assert {(r['dataset'], r['clip']) for r in found} == {
        *(('a', 'one'), ('b', 'two'))
    }


def test_summary(store: Store, tmp_path: Path):
    export_study(store, tmp_path / 'out')
    found = rows(tmp_path / 'out' / 'summary.csv')
    whole = [r for r in found if r['set'] == 'all']
    assert [(r['question'], r['method'], r['votes']) for r in whole] == [
        *(('quality', 'alpha', '1'), ('quality', 'beta', '2')),
        ('quality', 'gamma', '0'),
        *(('consistency', 'alpha', '0'), ('consistency', 'beta', '2')),
        ('consistency', 'gamma', '0'),
    ]
    assert (whole[0]['share'], whole[0]['wilson_low']) == (
        '0.3333',
        f'{wilson(1, 3).low:.4f}',
    )
    assert (whole[0]['bootstrap_low'], whole[0]['bootstrap_high']) == (
        *('0.0000', '1.0000'),
    )
    assert whole[3]['bootstrap_low'] == ''  # of one participant


def test_finished_only(store: Store, tmp_path: Path):
    shares = export_study(store, tmp_path / 'out', finished=True)
    assert {(s.method, s.votes) for s in shares if s.dataset == 'all'} == {
        *(('alpha', 0), ('beta', 2), ('gamma', 0))
    }
    assert [vote.method for vote in counted(store.votes(), True)] == [
        'beta'
    ] * 4


def test_no_votes(tmp_path: Path):
    store = prepare(tmp_path, save_methods(tmp_path))[0]
    with pytest.raises(ValueError, match=r'has no votes yet$'):
        export_study(store, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_pies_have_the_shares():
    """Slices are counted in pixels: 3 to 1, in the methods' colours."""
    votes = [v for v in VOTES if v.question == 'quality']
    shares = [s for s in summarise(votes, ['alpha', 'beta']) if s.total == 4]
    image = np.asarray(
        Image.open(io.BytesIO(draw_pies(shares))).convert('RGB')
    )
    areas = [
        (image == colour).all(-1).sum()
        for colour in [(0, 114, 178), (230, 159, 0)]
    ]
    assert areas[0] / areas[1] == pytest.approx(3, rel=0.05)


def test_bars_have_the_shares():
    votes = [v for v in VOTES if v.question == 'quality']
    shares = [s for s in summarise(votes, ['alpha', 'beta']) if s.total == 4]
    image = np.asarray(
        Image.open(io.BytesIO(draw_bars(shares))).convert('RGB')
    )
    lengths = [
        (image == colour).all(-1).sum(1).max()
        for colour in [(0, 114, 178), (230, 159, 0)]
    ]
    assert lengths[0] / lengths[1] == pytest.approx(3, rel=0.05)
