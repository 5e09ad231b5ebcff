"""Votes that the database keeps, and requests that it refuses."""

import sqlite3
from pathlib import Path

import pytest

from star.user_study.store import QUESTIONS, Store, StudyError
from tests.test_user_study.made import prepare, save_methods, shown


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return prepare(tmp_path, save_methods(tmp_path))[0]


def answer_all(store: Store, code: str, position: int = 0) -> None:
    for screen in range(2):
        for question in QUESTIONS:
            store.vote(code, screen, question, position)


def test_participants_see_their_own_order_again(store: Store):
    codes = [store.join() for _ in range(6)]
    orders = [store.screens(code) for code in codes]
    assert len({str(order) for order in orders}) > 1
    assert [Store(store.path).screens(code) for code in codes] == orders


def test_browsers_learn_no_names(store: Store):
    told = str(store.screens(store.join()))
    for name in ('alpha', 'beta', 'gamma', 'set', 'one', 'two'):
        assert name not in told


def test_votes_name_what_was_shown(store: Store):
    code = store.join()
    store.vote(code, 1, 'quality', 2)
    (vote,) = store.votes()
    assert vote.method == shown(store, code)[1][2]
    assert (vote.participant, vote.screen, vote.position) == (1, 2, 3)
    assert (vote.finished, vote.counts) == (False, True)


def test_last_vote_counts_and_history_is_kept(store: Store):
    code = store.join()
    for position in (0, 2, 1):
        store.vote(code, 0, 'consistency', position)
    store.vote(code, 1, 'consistency', 0)
    found = [(v.screen, v.position, v.counts) for v in store.votes()]
    assert found == [(1, 1, False), (1, 3, False), (1, 2, True), (2, 1, True)]
    votes = [screen['votes'] for screen in store.screens(code)['screens']]
    assert votes == [{'consistency': 1}, {'consistency': 0}]


@pytest.mark.parametrize(
    ('screen', 'question', 'position', 'message'),
    [
        (2, 'quality', 0, 'there is no screen 2 with position 0'),
        (-1, 'quality', 0, 'there is no screen -1 with position 0'),
        (0, 'quality', 3, 'there is no screen 0 with position 3'),
        (0, 'speed', 0, "there is no question 'speed'"),
    ],
)
def test_refuses_what_was_not_asked(
    store: Store, screen: int, question: str, position: int, message: str
):
    code = store.join()
    with pytest.raises(StudyError) as caught:
        store.vote(code, screen, question, position)
    assert str(caught.value) == message
    assert store.votes() == []


def test_refuses_unknown_codes(store: Store):
    with pytest.raises(StudyError, match='nobody has this code'):
        store.vote('x', 0, 'quality', 0)
    with pytest.raises(StudyError, match='nobody has this code'):
        store.screens('x')


def test_the_end_is_final(store: Store):
    code = store.join()
    answer_all(store, code)
    store.vote(code, 0, 'quality', 1)  # before the end they can change
    store.finish(code)
    with pytest.raises(StudyError, match='has finished'):
        store.vote(code, 0, 'quality', 2)
    assert store.screens(code)['finished'] is True
    assert {vote.finished for vote in store.votes()} == {True}
    last = [v.position for v in store.votes() if v.counts]
    assert sorted(last) == [1, 1, 1, 2]


def test_an_open_question_is_no_end(store: Store):
    code = store.join()
    store.vote(code, 0, 'quality', 0)
    with pytest.raises(StudyError, match='3 questions are not answered'):
        store.finish(code)
    assert store.screens(code)['finished'] is False


def test_votes_wait_for_the_disk(store: Store):
    """Write-ahead log, and each transaction is flushed before it returns."""
    with store._open() as db:
        assert db.execute('PRAGMA journal_mode').fetchone() == ('wal',)
        assert db.execute('PRAGMA synchronous').fetchone() == (2,)  # FULL
        assert db.execute('PRAGMA foreign_keys').fetchone() == (1,)


def test_what_fails_leaves_nothing(store: Store):
    with pytest.raises(RuntimeError), store._open() as db:
        db.execute("INSERT INTO participant VALUES (9, 'x', '', NULL)")
        raise RuntimeError
    with pytest.raises(StudyError):
        store.screens('x')


def test_goes_on_with_the_same(tmp_path: Path):
    sources = save_methods(tmp_path)
    first, _, _ = prepare(tmp_path, sources)
    code = first.join()
    again, _, _ = prepare(tmp_path, sources)
    assert again.screens(code) == first.screens(code)
    assert again.files() == first.files()


def test_refuses_other_methods(tmp_path: Path):
    sources = save_methods(tmp_path)
    prepare(tmp_path, sources)
    path = tmp_path / 'study.db'
    with pytest.raises(ValueError) as caught:
        prepare(tmp_path, sources[:2])
    assert str(caught.value) == (
        f"`methods` must be ['alpha', 'beta', 'gamma'] as in the study "
        f"{path}, got ['alpha', 'beta']"
    )
    with pytest.raises(ValueError, match=r'`seed` must be 0 as .*, got 4'):
        prepare(tmp_path, sources, seed=4)


def test_refuses_other_clips(tmp_path: Path):
    sources = save_methods(tmp_path)
    prepare(tmp_path, sources)
    image = tmp_path / 'beta' / 'set' / 'two' / '00000000.png'
    image.write_bytes((image.parent / '00000001.png').read_bytes())
    with pytest.raises(ValueError, match='set/two of beta has changed'):
        prepare(tmp_path, sources)
    for source in sources:
        folder = Path(source.partition('=')[2]) / 'set'
        (folder / 'one').rename(folder / 'first')
    with pytest.raises(
        ValueError, match=r'`clips` must be .* as in the study'
    ):
        prepare(tmp_path, sources)


def test_refuses_what_is_no_study(tmp_path: Path):
    path = tmp_path / 'x.db'
    with pytest.raises(ValueError, match=r'`db`: there is no study .*x\.db$'):
        Store(path)
    path.write_text('no database at all, only a text of some length' * 20)
    with pytest.raises(ValueError, match=r'`db`: .* is no study \(file is'):
        Store(path)
    path.unlink()
    sqlite3.connect(path).close()
    path.touch()
    with pytest.raises(ValueError, match=r'is no study \(no such table'):
        Store(path)


def test_is_there_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """An interrupted creation leaves no database."""
    sources = save_methods(tmp_path)
    prepare(tmp_path, sources)[0].path.unlink()  # its clips stay

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, 'replace', fail)
        with pytest.raises(KeyboardInterrupt):
            prepare(tmp_path, sources)
    assert not (tmp_path / 'study.db').exists()
    assert prepare(tmp_path, sources)[0].votes() == []
