"""What the page can do: uploads, methods, the screen."""

from dataclasses import replace
from pathlib import Path

import pytest

from star.app.choice import Choice
from star.app.core import AppCore
from star.app.methods import Method
from star.app.records import DONE, FAILED, NEW, PAUSED, QUEUED, RUNNING
from star.app.screen import describe
from tests.test_app.servers import make_clip

BICUBIC = Method('bicubic', used=('scale', 'window'))
LARGE = Method(
    'i2vgen',
    'heavy',
    ('scale', 'prompt', 'seed'),
    ('adain', 'none'),
    missing=('heavy.pt from A/B', 'text.bin from C'),
    size=8_600_000_000,
    unsized=1,
)


@pytest.fixture
def core(tmp_path: Path):
    made = AppCore(tmp_path / 'app')
    made.methods.set([BICUBIC, LARGE])
    yield made
    made.close()


@pytest.fixture
def job(core):
    return core.take(make_clip(core.store.uploads / 'a <b>.mp4', 5))


def screen(core, selected=None, key='bicubic', choice=None):
    return describe(core, selected, 0, key, choice or Choice())


def test_an_upload_becomes_a_job(core, job):
    assert (job.name, job.facts) == ('a _b_.mp4', '64 x 48, 5 frames')
    assert list(core.store.uploads.iterdir()) == []
    assert core.list_new() == [job]


def test_a_text_file_has_one_line_and_is_removed(core):
    path = core.store.uploads / 'no\tvideo.mp4'
    path.write_text('text')
    with pytest.raises(ValueError, match=r'^no.tvideo\.mp4: ') as raised:
        core.take(path)
    assert '\n' not in str(raised.value)
    assert str(core.store.folder) not in str(raised.value)
    assert not path.exists()
    assert core.list_new() == []


def test_only_uploads_are_taken(core, tmp_path):
    other = make_clip(tmp_path / 'mine.mp4', 2)
    link = core.store.uploads / 'link.mp4'
    link.symlink_to(other)
    for path in (other, link, core.store.uploads / '../../mine.mp4'):
        with pytest.raises(ValueError, match='is no uploaded file'):
            core.take(path)
    assert other.exists()


def test_a_folder_has_one_server(core):
    with pytest.raises(ValueError, match='another star app uses'):
        AppCore(core.store.folder)


def test_a_download_needs_agreement(core, job):
    key = 'i2vgen heavy'
    with pytest.raises(ValueError, match=r'agree to the download \(about 8.6'):
        core.submit(job.id, 'restore', key, Choice())
    assert core.store.find(job.id).state == NEW
    core.submit(job.id, 'restore', key, Choice(prompt='a cat'), True)
    found = core.store.find(job.id)
    assert found.state == QUEUED
    assert found.choice == Choice('i2vgen', 'heavy', prompt='a cat')


def test_options_that_a_method_does_not_heed_are_left_out(core):
    chosen = Choice(scale='2', seed='1', tile='64', prompt='x', crf='20')
    assert core.choose('bicubic', chosen) == Choice(
        'bicubic', scale='2', crf='20'
    )


@pytest.mark.parametrize(
    ('id_', 'key', 'message'),
    [
        (None, 'bicubic', 'choose a job first'),
        ('../x', 'bicubic', 'choose a job first'),
        ('job', 'other', "there is none called 'other'"),
    ],
)
def test_a_wrong_choice_has_a_line(core, job, id_, key, message):
    with pytest.raises(ValueError, match=message):
        core.submit(job.id if id_ == 'job' else id_, 'plan', key, Choice())


def test_methods_say_what_is_downloaded():
    assert BICUBIC.label == 'bicubic'
    assert LARGE.label == (
        'i2vgen heavy (download about 8.6 GB and 1 file of unknown size)'
    )
    unknown = replace(LARGE, size=0, unsized=2)
    assert unknown.amount == 'of 2 files of unknown size'


def test_an_empty_screen_invites(core):
    shown = screen(core)
    assert shown['jobs'] == ([], None)
    assert 'Drop a video' in shown['status']
    assert shown['buttons'] == []


@pytest.mark.parametrize(
    ('state', 'task', 'buttons'),
    [
        (NEW, '', ['plan', 'preview', 'restore', 'remove']),
        (FAILED, 'restore', ['plan', 'preview', 'restore', 'remove']),
        (RUNNING, 'restore', ['pause', 'stop', 'remove']),
        (RUNNING, 'plan', ['stop', 'remove']),
        (QUEUED, 'restore', ['pause', 'stop', 'remove']),
        (PAUSED, 'restore', ['resume', 'stop', 'remove']),
    ],
)
def test_buttons_are_those_that_mean_something(
    core, job, state, task, buttons
):
    core.store.change(job.id, lambda j: replace(j, state=state, task=task))
    assert screen(core)['buttons'] == buttons


def test_the_screen_of_a_result(core, job):
    report = {
        'frames': 5,
        'output_size': [128, 96],
        'seconds': 65.4,
        'notes': ['<i>'],
        'warnings': ['odd & old'],
    }
    dst = core.store.target(job)
    dst.parent.mkdir()
    dst.write_bytes(b'x' * 1500)
    choice = Choice('bicubic', scale='2')
    core.store.change(
        job.id,
        lambda j: replace(
            j, state=DONE, task='restore', report=report, choice=choice
        ),
    )
    shown = screen(core, choice=Choice(scale='3'))
    assert shown['buttons'] == ['remove', 'compare']
    assert 'done: 5 frames of 128 x 96 in 0:01:05' in shown['status']
    assert '&lt;i&gt;' in shown['status']
    assert 'odd &amp; old' in shown['status']
    assert '(2 kB)' in shown['result']
    assert 'gradio_api/file=' in shown['result']
    # the options that it has, not those of the form
    assert shown['command'].endswith('--config bicubic --scale 2')
    core.store.comparison(job).write_bytes(b'x')
    shown = screen(core)
    assert 'comparison.mp4' in shown['comparison']
    assert 'first' not in shown['comparison']
    assert shown['buttons'] == ['remove']


def test_the_command_line_follows_the_form(core, job):
    shown = screen(core, choice=Choice(scale='2', seed='3'))
    src, dst = core.store.source(job), core.store.target(job)
    assert shown['command'] == (
        f"star restore '{src}' '{dst}' --config bicubic --scale 2"
    )


def test_a_failure_is_shown(core, job):
    core.store.change(
        job.id, lambda j: replace(j, state=FAILED, message='no <space>')
    )
    assert 'no &lt;space&gt;' in screen(core)['status']
