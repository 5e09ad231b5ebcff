"""Records of jobs: safe names, reading again, removing."""

import json

import pytest

from star.app.choice import Choice
from star.app.records import DONE, JobStore, safe_name


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('a.mp4', 'a.mp4'),
        ('../../etc/passwd', 'passwd'),
        ('C:\\films\\b.avi', 'b.avi'),
        ('..', 'video'),
        ('', 'video'),
        ('.hidden.mp4', 'hidden.mp4'),
        ('-rf.mp4', 'rf.mp4'),
        ('a\nb;$(c)`<d>.mp4', 'a_b__(c)__d_.mp4'),
        ('Ärger 映画.mkv', 'Ärger 映画.mkv'),
        ('x' * 200 + '.mp4', 'x' * 57 + '.mp4'),
        ('a.' + 'y' * 50, 'a.' + 'y' * 10),
    ],
)
def test_names_are_safe(name: str, expected: str):
    assert safe_name(name) == expected
    assert safe_name(expected) == expected


def test_jobs_are_read_again(store, add):
    first, second = add('../a.mp4'), add('b.avi')
    changed = Choice(config='bicubic', scale='2')
    store.change(
        first.id,
        lambda j: j.__class__(
            **{**vars(j), 'choice': changed, 'state': DONE, 'report': {'n': 1}}
        ),
    )
    again = JobStore(store.folder)
    assert again.list_jobs() == store.list_jobs()
    found = again.find(first.id)
    assert (found.choice, found.name, found.state) == (changed, 'a.mp4', DONE)
    assert again.source(found).read_bytes() == b'video'
    assert again.target(again.find(second.id)).name == 'b.mkv'


def test_a_record_that_is_damaged_or_foreign_is_left_out(store, add):
    job = add()
    path = store.folder / 'jobs' / f'{job.id}.json'
    value = json.loads(path.read_text())
    for name, change in (
        ('half', path.read_text()[:20]),
        ('other', json.dumps(value)),
        (
            '20260101-000000-abcdef',
            json.dumps(
                {**value, 'id': '20260101-000000-abcdef', 'name': '../x'}
            ),
        ),
        (
            '20260101-000000-abcdee',
            json.dumps(
                {**value, 'id': '20260101-000000-abcdee', 'state': 'odd'}
            ),
        ),
    ):
        path.with_name(f'{name}.json').write_text(change)
    assert [j.id for j in JobStore(store.folder).list_jobs()] == [job.id]


def test_removing_leaves_nothing(store, add):
    job, other = add(), add()
    store.process_file(job, 'log').write_text('log')
    store.remove(job.id)
    left = [p for p in store.folder.rglob('*') if job.id in str(p)]
    assert left == []
    assert store.find(other.id) == other
    assert store.find(job.id) is None
    assert store.change(job.id, lambda j: j) is None
