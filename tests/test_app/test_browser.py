"""The whole way, clicked in a browser, and what the server refuses."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest

from star.app.records import JobStore
from tests.paths import ROOT
from tests.test_app.servers import Server, make_clip, restore

pytest.importorskip('gradio')
pytestmark = pytest.mark.slow
CHROMIUM = shutil.which('chromium')
WAIT = 240_000  # milliseconds
# STAR_SHOTS=FOLDER keeps pictures of the page there
SHOTS = os.environ.get('STAR_SHOTS')


@pytest.fixture(scope='module')
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp('served') / 'app') as server:
        yield server


@pytest.fixture
def page(server: Server):
    if CHROMIUM is None:
        pytest.skip('no chromium (Debian: apt-get install chromium)')
    playwright = pytest.importorskip('playwright.sync_api')
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM, args=['--no-sandbox', '--disable-gpu']
        )
        page = browser.new_page(viewport={'width': 1280, 'height': 900})
        page.set_default_timeout(WAIT)
        page.requested, page.errors = [], []
        page.on('request', lambda r: page.requested.append(r.url))
        page.on('pageerror', lambda e: page.errors.append(str(e)))
        page.goto(server.url)
        yield page
        browser.close()


def shoot(page, name: str) -> None:
    if SHOTS:
        page.wait_for_timeout(1500)
        page.screenshot(path=f'{SHOTS}/{name}.png', full_page=True)


def choose(page, label: str, option: str) -> None:
    page.click(f'#{label} input')
    page.get_by_role('option', name=option, exact=True).click()


def store_of(server: Server) -> JobStore:
    return JobStore(server.log.with_suffix(''))


def test_whole_way(page, server, tmp_path):
    sample = ROOT / 'data/samples/cat.mp4'
    clip = shutil.copy(sample, tmp_path / 'a cat & <b>.mp4')
    text = tmp_path / 'text.mp4'
    text.write_text('no video')
    page.set_input_files('#upload input[type=file]', [clip, text])
    page.wait_for_selector('#message .bad')
    assert page.inner_text('#message .bad').startswith('text.mp4: ')
    assert page.locator('#message .bad').count() == 1
    page.wait_for_selector('#status h3')
    assert '128 x 96, 24 frames' in page.inner_text('#status')
    page.wait_for_function(
        "document.querySelector('#method input').value == 'tiny_compact'"
    )
    choose(page, 'method', 'bicubic')
    page.click('#options button')
    page.fill('#option-scale input, #option-scale textarea', '2')
    page.fill('#option-crf input, #option-crf textarea', '20')
    page.wait_for_function(
        "document.querySelector('#command textarea')?.value"
        "?.endsWith('--config bicubic --scale 2 --crf 20')"
    )
    page.click('#do-plan')
    page.wait_for_selector('table.plan')
    assert '128 x 96 to 256 x 192' in page.inner_text('table.plan')
    page.click('#do-preview')
    page.wait_for_selector('#slider img')
    page.click('#place label:has-text("3")')
    shoot(page, 'app_preview')
    page.click('#do-restore')
    page.wait_for_selector('#result a.download')
    with page.expect_download() as download:
        page.click('#result a.download')
    found = Path(download.value.path()).read_bytes()
    options = ['--config', 'bicubic', '--scale', '2', '--crf', '20']
    expected = restore(sample, tmp_path / 'command.mp4', *options)
    assert found == expected
    line = page.input_value('#command textarea')
    assert_line_gives(line, expected, tmp_path)
    page.click('#do-compare')
    page.wait_for_selector('#comparison video')
    length = page.evaluate(
        """async () => {
            const video = document.querySelector('#comparison video');
            if (video.readyState < 2) await new Promise(
                (go) => video.addEventListener('loadeddata', go));
            return [video.videoWidth, video.videoHeight];
        }"""
    )
    assert length == [512, 192]  # two of 256 x 192
    shoot(page, 'app')
    page.set_viewport_size({'width': 400, 'height': 800})
    page.reload()
    page.wait_for_selector('#comparison video')
    assert 'done: 24 frames' in page.inner_text('#status')
    width = page.evaluate('document.documentElement.scrollWidth')
    assert width <= 400
    shoot(page, 'app_phone')
    foreign = [
        url
        for url in page.requested
        if not url.startswith((server.url, 'data:', 'blob:'))
    ]
    assert foreign == []  # nothing from the internet
    assert page.errors == []
    page.click('#do-remove')
    page.wait_for_selector('#jobs', state='hidden')


def assert_line_gives(line: str, expected: bytes, folder: Path) -> None:
    """Run the command line of the page, with another target."""
    import shlex
    import sys

    words = shlex.split(line)
    words[3] = str(folder / 'copied.mp4')
    words = [sys.executable, '-m', *words]
    subprocess.run(words, check=True, capture_output=True)
    assert Path(folder / 'copied.mp4').read_bytes() == expected


def test_pause_continue_and_stop(page, server, tmp_path):
    clip = make_clip(tmp_path / 'long.mp4', 400, 128)
    page.set_input_files('#upload input[type=file]', [clip])
    page.wait_for_selector('#status h3')
    page.wait_for_function(
        "document.querySelector('#method input').value == 'tiny_compact'"
    )
    choose(page, 'method', 'bicubic')
    page.wait_for_function(
        "document.querySelector('#command textarea')"
        "?.value.includes('bicubic')"
    )
    page.click('#do-restore')
    page.wait_for_selector('#status progress[value]')
    shoot(page, 'app_running')
    page.click('#do-pause')
    page.wait_for_selector('#do-resume')
    page.reload()
    page.wait_for_selector('#do-resume')
    page.click('#do-resume')
    page.wait_for_selector('#do-stop')
    page.wait_for_selector('#result a.download')
    (job,) = store_of(server).list_jobs()
    found = store_of(server).target(job).read_bytes()
    options = ['--config', 'bicubic']
    assert found == restore(clip, tmp_path / 'command.mp4', *options)
    page.click('#do-remove')


def status_of(url: str, host: str | None = None) -> int:
    headers = {} if host is None else {'Host': host}
    try:
        with urlopen(Request(url, headers=headers), timeout=30) as answer:
            return answer.status
    except HTTPError as error:
        return error.code


def test_nothing_outside_the_folder_is_served(server, tmp_path):
    store = store_of(server)
    mine = store.files / 'mine.txt'
    mine.write_text('mine')
    secret = tmp_path / 'secret.txt'
    secret.write_text('secret')
    base = f'{server.url}gradio_api/file='
    assert status_of(base + quote(str(mine))) == 200
    up = '../' * 8
    for path in (
        str(secret),
        '/etc/passwd',
        f'{store.files}/{up}etc/passwd',
        f'{store.files}/%2e%2e/jobs',
        f'{store.folder}/jobs',
        f'{store.files}/../lock',
        f'{up}etc/passwd',
    ):
        assert status_of(base + path) in (403, 404), path
        assert status_of(base + quote(path, safe='')) in (403, 404), path


def test_foreign_hosts_and_addresses_are_refused(server):
    assert status_of(server.url) == 200
    assert status_of(server.url, 'evil.example') == 403
    fetched = 'gradio_api/file=http://127.0.0.1:1/'
    assert status_of(server.url + fetched) == 403
    assert status_of(server.url + 'gradio_api/proxy=http://a.b/') == 403
