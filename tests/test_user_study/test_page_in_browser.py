"""A whole study, clicked and typed through in Chromium."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from star.user_study.store import Store
from star.user_study.web import LOCAL, create_app, make_server
from tests.test_report.browser import Browser, needs_browser
from tests.test_user_study.made import (
    FRAMES,
    METHODS,
    level,
    prepare,
    save_methods,
    shown,
)

pytest.importorskip('flask', reason='no flask (extra study)')
pytestmark = needs_browser
ENTER, LEFT, RIGHT, UP, DOWN = '\ue007', '\ue012', '\ue014', '\ue013', '\ue015'
# the grey in the middle of each version, as the browser shows it
GREYS = """return [...document.querySelectorAll('video')].map((video) => {
  const canvas = document.createElement('canvas');
  canvas.width = video.videoWidth; canvas.height = video.videoHeight;
  const context = canvas.getContext('2d');
  context.drawImage(video, 0, 0);
  return context.getImageData(32, 24, 1, 1).data[0]; });"""
SETTLED = """return document.querySelector('#screen')?.classList
  .contains('ready') && [...document.querySelectorAll('video')]
  .every((video) => !video.seeking && video.readyState >= 2)"""
TIMES = """return [...document.querySelectorAll('video')]
  .map((video) => video.currentTime)"""
STATUS = "return document.querySelector('#status').textContent"
HEADING = "return document.querySelector('#heading').textContent"


@pytest.fixture(scope='module')
def study(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Store, str]]:
    """A running study and its address."""
    folder = tmp_path_factory.mktemp('study')
    store, cache, _ = prepare(folder, save_methods(folder))
    server = make_server(create_app(store, cache, LOCAL), '127.0.0.1', 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield store, f'http://127.0.0.1:{server.port}'
    server.shutdown()
    thread.join(10)


@pytest.fixture(scope='module')
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    folder = tmp_path_factory.mktemp('browser')
    with Browser(folder, width=360, height=740) as browser:
        yield browser


def until(browser: Browser, script: str, wanted: Any = True) -> None:
    """Wait until a script returns what is wanted."""
    found = None
    for _ in range(200):
        found = browser.run(script)
        if found == wanted:
            return
        time.sleep(0.05)
    raise AssertionError(f'{script}: {found!r}, not {wanted!r}')


def visit(browser: Browser, url: str) -> None:
    browser.run(f'location.assign("{url}")')
    until(
        browser, 'return location.href + document.readyState', f'{url}complete'
    )


def join(browser: Browser, address: str) -> str:
    """Take part as somebody new; return the code."""
    visit(browser, f'{address}/')
    browser.click('#join')
    until(browser, SETTLED)
    return browser.run('return document.body.dataset.code')


def answers(store: Store) -> list[tuple[int, str, str]]:
    """List the last participant's answers that count."""
    votes = store.votes()
    number = max(vote.participant for vote in votes)
    return [
        (vote.screen, vote.question, vote.method)
        for vote in votes
        if vote.participant == number and vote.counts
    ]


def greys_of(methods: list[str], frame: int) -> Any:
    return pytest.approx([level(m, frame) for m in methods], abs=3)


def test_a_study_with_the_keyboard(window: Browser, study: tuple[Store, str]):
    store, address = study
    code = join(window, address)
    screens = shown(store, code)
    for i, key in enumerate('21'):
        until(window, SETTLED)
        assert window.run(HEADING) == f'Clip {i + 1} of 2'
        # what is shown in a place is what is written down for it
        assert window.run(GREYS) == greys_of(screens[i], 0)
        window.press('body', key, ENTER)
        until(window, f'{STATUS} === "Saved"')
        window.press('body', '3')
        until(window, 'return document.querySelector("#next").disabled', False)
        window.press('body', ENTER)
        until(
            window,
            'return document.querySelector("#place")?.textContent'
            f' !== "Clip {i + 1} of 2"',
        )
    until(window, HEADING, 'The end')
    window.click('#finish')
    until(window, HEADING, 'Finished')
    assert answers(store) == [
        (1, 'quality', screens[0][1]),
        (1, 'consistency', screens[0][2]),
        (2, 'quality', screens[1][0]),
        (2, 'consistency', screens[1][2]),
    ]
    assert store.screens(code)['finished'] is True
    visit(window, f'{address}/study/{code}')
    until(window, HEADING, 'Finished')
    assert window.messages() == []


def test_a_study_with_the_mouse(window: Browser, study: tuple[Store, str]):
    """Left in the middle, taken up again, and changed before the end."""
    store, address = study
    code = join(window, address)
    screens = shown(store, code)
    choice = '[data-question={}] .choice:nth-child({})'
    window.click(choice.format('consistency', 1))
    until(window, STATUS, 'Saved')
    visit(window, f'{address}/')
    window.click('a.main')  # go on where you were
    until(window, SETTLED)
    checked = (
        'return document.querySelectorAll(".choice input:checked").length'
    )
    assert (window.run(HEADING), window.run(checked)) == ('Clip 1 of 2', 1)
    window.click(choice.format('quality', 3))
    until(window, 'return document.querySelector("#next").disabled', False)
    window.click('#next')
    until(window, HEADING, 'Clip 2 of 2')
    until(window, SETTLED)
    window.click('#previous')
    until(window, HEADING, 'Clip 1 of 2')
    window.click(choice.format('quality', 2))
    until(window, STATUS, 'Saved')
    assert answers(store) == [
        (1, 'consistency', screens[0][0]),
        (1, 'quality', screens[0][1]),
    ]


def test_all_versions_show_the_same_frame(
    window: Browser, study: tuple[Store, str]
):
    """Steps, the slider and a pause: read from the pictures."""
    store, address = study
    methods = shown(store, join(window, address))[0]
    window.press('body', RIGHT, RIGHT)
    until(window, SETTLED)
    assert window.run(GREYS) == greys_of(methods, 2)
    window.press('body', LEFT)
    until(window, SETTLED)
    assert window.run(GREYS) == greys_of(methods, 1)
    window.run("""const seek = document.querySelector('#seek'); seek.value = 5;
      seek.dispatchEvent(new Event('input'));""")
    until(window, SETTLED)
    assert window.run(GREYS) == greys_of(methods, 5)
    assert len({round(t, 6) for t in window.run(TIMES)}) == 1
    window.press('body', RIGHT)  # there is no frame beyond
    text = 'return document.querySelector("#frame").textContent'
    assert window.run(text) == f'{FRAMES} / {FRAMES}'


def test_plays_in_step_and_loops(window: Browser, study: tuple[Store, str]):
    store, address = study
    methods = shown(store, join(window, address))[0]
    window.press('body', ' ')
    window.run("""window.starts = 0; window.gap = 0;
      const all = [...document.querySelectorAll('video')];
      all[0].addEventListener('play', () => { window.starts += 1; });
      all[0].addEventListener('timeupdate', () => {
        if (all.some((video) => video.seeking || video.paused)) return;
        const times = all.map((video) => video.currentTime);
        window.gap = Math.max(
          window.gap, Math.max(...times) - Math.min(...times));
      });""")
    until(window, 'return window.starts >= 3')  # it came round twice
    window.press('body', ' ')
    until(window, SETTLED)
    text = window.run('return document.querySelector("#frame").textContent')
    frame = int(text.split()[0]) - 1
    assert window.run(GREYS) == greys_of(methods, frame)
    assert window.run('return window.gap') <= 3 / 25  # seconds
    window.click('#loop')
    window.press('body', ' ')
    play = 'return document.querySelector("#play").textContent'
    until(window, play, 'Play')
    assert (
        window.run('return document.querySelector("#frame").textContent')
        == f'{FRAMES} / {FRAMES}'
    )


def test_zoom_is_shared(window: Browser, study: tuple[Store, str]):
    join(window, study[1])
    window.press('body', '+', '+')
    window.drag('.view', 40, 0)
    moves = window.run("""return [...document.querySelectorAll('video')]
      .map((video) => video.style.transform)""")
    assert len(moves) == len(METHODS) and len(set(moves)) == 1
    width = window.run('return document.querySelector(".view").clientWidth')
    scale, _, rest = moves[0].partition(' ')
    assert scale == 'scale(4)'
    moved = float(rest.removeprefix('translate(').split('%')[0])
    assert moved == pytest.approx(100 * 40 / width / 4, abs=0.5)
    window.press('body', '-', '-', '-')
    assert (
        window.run('return document.querySelector("video").style.transform')
        == 'scale(1) translate(0%, 0%)'
    )


def test_arrows_switch_the_question(window: Browser, study: tuple[Store, str]):
    store, address = study
    join(window, address)
    window.press('body', DOWN, '1', UP, '2')
    until(window, 'return document.querySelector("#next").disabled', False)
    found = {(question, place) for _, question, place in answers(store)}
    assert len(found) == 2
    last = {v.question: v.position for v in store.votes()[-2:]}
    assert last == {'consistency': 1, 'quality': 2}


def test_digits_without_a_version_do_nothing(
    window: Browser, study: tuple[Store, str]
):
    store, address = study
    join(window, address)
    count = len(store.votes())
    window.press('body', '4', '9', '0')
    window.press('body', '1')
    until(window, STATUS, 'Saved')
    assert len(store.votes()) == count + 1


def test_fits_a_telephone(window: Browser, study: tuple[Store, str]):
    join(window, study[1])
    assert window.run('return window.innerWidth') == 360
    assert window.run('return document.documentElement.scrollWidth') == 360


def test_learns_no_names(window: Browser, study: tuple[Store, str]):
    """Not in the page, nor in anything that it has loaded."""
    join(window, study[1])
    seen = window.run("""return document.documentElement.outerHTML
      + JSON.stringify(screens)
      + performance.getEntries().map((e) => e.name).join(' ')""")
    assert 'videos' in seen and '/video/' in seen
    assert not [name for name in METHODS if name in seen]


def test_what_is_not_saved_is_said(window: Browser, study: tuple[Store, str]):
    store, address = study
    join(window, address)
    count = len(store.votes())
    window.run(
        'document.body.dataset.token; window.real = window.fetch;'
        "window.fetch = () => Promise.reject(new Error('gone'));"
    )
    window.press('body', '1')
    until(window, STATUS, 'Not saved (gone). Please choose again.')
    checked = (
        'return document.querySelectorAll(".choice input:checked").length'
    )
    assert window.run(checked) == 0
    window.run('window.fetch = window.real;')
    window.press('body', '2')
    until(window, STATUS, 'Saved')
    assert [v.position for v in store.votes()[count:]] == [2]
