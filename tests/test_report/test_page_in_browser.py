"""The page in Chromium, opened from the file system."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from star.report.comparison import compare
from star.report.report import ReportOptions, make_report, write_files
from star.report.results import load_results
from tests.test_report import made
from tests.test_report.browser import Browser, needs_browser

pytestmark = needs_browser
STAGE = '.stage'
CHOOSE = """const list = document.querySelectorAll('.bar select')[{}];
  list.value = '{}'; list.dispatchEvent(new Event('change'));"""
SPLIT = 'document.querySelector(".stage").style.getPropertyValue("--split")'


@pytest.fixture(scope='module')
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('report')
    runs = made.pictured_runs(folder, ['star', 'bicubic'], 'a<b>&"c')
    report = make_report(compare(load_results(runs)), ReportOptions())
    write_files(folder / 'out', report.files)
    return folder / 'out' / 'index.html'


@pytest.fixture(scope='module')
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One telephone's window for all tests."""
    folder = tmp_path_factory.mktemp('browser')
    with Browser(folder, width=360, height=740) as browser:
        yield browser


@pytest.fixture
def browser(window: Browser, page: Path) -> Browser:
    window.open(page)
    return window


def split(browser: Browser) -> float:
    return float(browser.run(f'return {SPLIT}').rstrip('%'))


def transforms(browser: Browser) -> set[str]:
    """Collect how the pictures of the viewer are zoomed and moved."""
    images = 'document.querySelectorAll(".viewer img")'
    found = browser.run(f'return [...{images}].map((i) => i.style.transform)')
    assert len(found) == 6  # four versions, and the two of the slider
    return set(found)


def test_opens_without_complaint(browser: Browser):
    assert browser.messages() == []
    loaded = 'return [...document.images].every((i) => i.naturalWidth > 0)'
    assert browser.run(loaded) is True


def test_fits_a_telephone(browser: Browser):
    """Only tables scroll sideways, each by itself."""
    assert browser.run('return window.innerWidth') == 360
    assert browser.run('return document.documentElement.scrollWidth') == 360
    wide = """return [...document.querySelectorAll('main *')].filter((e) =>
      !e.closest('.scroll') && !e.closest('.stage')
      && e.getBoundingClientRect().right > 360.5).map((e) => e.outerHTML)"""
    assert browser.run(wide) == []


def test_divider_follows_the_mouse(browser: Browser):
    width = browser.run(
        f'return document.querySelector("{STAGE}").clientWidth'
    )
    assert split(browser) == 50
    browser.drag('.line', 60, 0)
    assert split(browser) == pytest.approx(50 + 100 * 60 / width, abs=0.5)
    browser.drag('.line', -width // 2, 0)
    assert split(browser) == pytest.approx(100 * 60 / width, abs=1)


def test_divider_follows_the_keys(browser: Browser):
    browser.press(STAGE, 'ArrowRight', 'ArrowRight', 'ArrowRight')
    assert split(browser) == pytest.approx(56)
    browser.press('.split', 'ArrowLeft', 'ArrowLeft')
    assert split(browser) == pytest.approx(55)
    browser.press(STAGE, 'End')
    assert split(browser) == 100


def test_each_side_shows_its_version(browser: Browser, tmp_path: Path):
    """On the screen, right of the divider, bicubic is half as light."""
    browser.run(CHOOSE.format(0, 'ground truth'))
    browser.run(CHOOSE.format(1, 'bicubic'))
    browser.press(STAGE, *['ArrowLeft'] * 5)  # the divider to 40 %
    box = browser.run("""const stage = document.querySelector('.stage');
      stage.scrollIntoView({ block: 'center' });
      const box = stage.getBoundingClientRect();
      return [box.left, box.top, box.width, box.height];""")
    browser.screenshot(tmp_path / 'page.png')
    left, top, width, height = box
    whole = np.asarray(Image.open(tmp_path / 'page.png').convert('L'))
    rows = whole[round(top + 0.7 * height) : round(top + 0.95 * height)]
    light = [
        rows[:, round(left + a * width) : round(left + b * width)].mean()
        for a, b in [(0.02, 0.36), (0.44, 0.6)]
    ]
    truth = Image.fromarray(made.frames()[2]).convert('L')
    part = np.asarray(truth)[45:61]
    assert light[0] == pytest.approx(part[:, 2:35].mean(), abs=4)
    assert light[1] == pytest.approx(part[:, 42:58].mean() / 2, abs=4)


def test_versions_are_chosen(browser: Browser):
    browser.run(CHOOSE.format(0, 'ground truth'))
    browser.run(CHOOSE.format(1, 'bicubic'))
    shown = (
        'return [...document.querySelectorAll(".layer img")].map((i) => {})'
    )
    assert browser.run(shown.format('i.alt')) == [
        'set/a<b>&"c, frame 2: ground truth',
        'set/a<b>&"c, frame 2: bicubic',
    ]
    panes = (
        'return [...document.querySelectorAll(".panes img")].map((i) => {})'
    )
    sources = browser.run(panes.format('i.src'))
    assert browser.run(shown.format('i.src')) == [sources[1], sources[3]]


def test_zoom_and_place_are_shared(browser: Browser):
    assert transforms(browser) == {'scale(1) translate(0%, 0%)'}
    browser.press(STAGE, '+', '+')
    (zoomed,) = transforms(browser)
    assert zoomed.startswith('scale(2.25) translate(-27.7')
    browser.click('.bar button[aria-label="Zoom out"]')
    (less,) = transforms(browser)
    assert less.startswith('scale(1.5) translate(-16.66')
    # the picture follows the mouse, and stops at its border
    width = browser.run(
        f'return document.querySelector("{STAGE}").clientWidth'
    )
    browser.drag('.tag.left', width // 10, 0)
    (moved,) = transforms(browser)
    place = float(moved.split('translate(-')[1].split('%')[0])
    assert place == pytest.approx(16.667 - 10 / 1.5, abs=0.5)
    browser.press(STAGE, '0')
    assert transforms(browser) == {'scale(1) translate(0%, 0%)'}


def test_side_by_side(browser: Browser):
    heights = """return ['.panes', '.both'].map((s) =>
      document.querySelector(s).getBoundingClientRect().height > 0)"""
    assert browser.run(heights) == [False, True]
    browser.click('.bar button:nth-child(2)')
    assert browser.run(heights) == [True, False]
    browser.click('.bar button[aria-label="Zoom in"]')
    (zoomed,) = transforms(browser)
    assert zoomed.startswith('scale(1.5)')
    browser.click('.bar button:nth-child(1)')
    assert browser.run(heights) == [False, True]


def test_every_control_has_a_name(browser: Browser):
    nameless = """return [...document.querySelectorAll(
        'button, input, select, [tabindex]')].filter((e) =>
        !(e.getAttribute('aria-label') || e.labels?.[0]?.textContent))
        .map((e) => e.outerHTML)"""
    assert browser.run(nameless) == []


def test_readable_without_script(page: Path, window: Browser, tmp_path: Path):
    """Pictures stand side by side, tables are there, no dead controls."""
    text = page.read_text(encoding='utf-8')
    start, end = text.index('<script>'), text.index('</script>')
    plain = tmp_path / 'plain.html'
    plain.write_text(text[:start] + text[end:], encoding='utf-8')
    window.open(plain)
    count = 'return document.querySelectorAll("{}").length'
    assert window.run(count.format('.bar, input, button')) == 0
    shown = """return [...document.querySelectorAll('.panes img')].map((i) =>
      i.getBoundingClientRect().width > 100)"""
    assert window.run(shown) == [True] * 4


def test_screenshot_is_not_empty(browser: Browser, tmp_path: Path):
    browser.screenshot(tmp_path / 'page.png')
    image = Image.open(tmp_path / 'page.png').convert('L')
    assert image.size == (360, 740)
    low, high = image.getextrema()
    assert (low < 60, high > 200) == (True, True)


# while it plays, reads both canvases and the label in one go, again and again
WATCH = """const [seconds, done] = arguments;
  const root = document.querySelector('.player');
  const read = () => [...root.querySelectorAll('canvas')].map((canvas) => {
    const { width, height } = canvas;
    const middle = [width / 2, height / 2, 1, 1];
    return canvas.getContext('2d').getImageData(...middle).data[0];
  });
  const found = [], end = performance.now() + 1000 * seconds;
  const step = () => {
    found.push([...read(), root.querySelector('output').textContent]);
    if (performance.now() < end) requestAnimationFrame(step);
    else done(found);
  };
  step();"""
LEVELS = 20, 10  # by which frames of the two clips grow lighter


@pytest.fixture(scope='module')
def moving(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of ten frames whose grey level tells the frame."""
    folder = tmp_path_factory.mktemp('moving')
    runs = []
    for name, level in zip('ab', LEVELS, strict=True):
        data = made.results(name, [made.clip('set', 'c', {'PSNR': 30.0})])
        frames = [np.full((64, 96, 3), 20 + level * i) for i in range(10)]
        clip = np.stack(frames).astype(np.uint8)
        made.save_frames(folder / name / 'restored', clip)
        data['clips'][0] |= {'files': {'pred': 'restored'}, 'num_frames': 10}
        runs.append(str(made.write(folder / name, data)))
    report = make_report(compare(load_results(runs)), ReportOptions())
    write_files(folder / 'out', report.files)
    return folder / 'out' / 'index.html'


def watch(browser: Browser, seconds: float) -> list[tuple[int, int, int]]:
    """Return the frame of both pictures and of the label, many times."""
    found = []
    for left, right, label in browser.wait_for(WATCH, seconds):
        at = [(left - 20) / LEVELS[0], (right - 20) / LEVELS[1]]
        number, count = label.split(' / ')
        assert count == '10'
        found.append((round(at[0]), round(at[1]), int(number) - 1))
    return found


def test_clips_play_in_step(window: Browser, moving: Path):
    """Both show one frame at any time, and begin again after the last."""
    window.open(moving)
    window.click('.player .bar button')
    seen = watch(window, 1.5)
    window.click('.player .bar button')
    assert {left - right for left, right, _ in seen} == {0}
    assert {left - label for left, _, label in seen} <= {0}
    frames = [left for left, _, _ in seen]
    assert len(set(frames)) >= 8  # of the ten
    assert sum(b < a for a, b in pairwise(frames)) >= 2  # loops of 0.4 s
    resting = watch(window, 0.3)[3:]
    assert len(set(resting)) == 1 and resting[0][0] == resting[0][1]


def test_clips_are_scrubbed_in_step(window: Browser, moving: Path):
    window.open(moving)
    for frame in (7, 2, 9, 0, 4):
        window.run(f"""const seek = document.querySelector('.player .split');
          seek.value = {frame}; seek.dispatchEvent(new Event('input'));""")
        assert watch(window, 0.4)[-1] == (frame, frame, frame)
    window.press('.player .split', 'ArrowRight')
    assert watch(window, 0.4)[-1] == (5, 5, 5)


def test_versions_that_play_are_chosen(window: Browser, moving: Path):
    """Both sides may show one version; the choice takes effect at once."""
    window.open(moving)
    window.run("""const list = document.querySelectorAll('.player select')[1];
      list.value = 'a'; list.dispatchEvent(new Event('change'));
      const seek = document.querySelector('.player .split');
      seek.value = 6; seek.dispatchEvent(new Event('input'));""")
    left, right, _ = window.wait_for(WATCH, 0.4)[-1]
    assert left == right == pytest.approx(20 + 6 * LEVELS[0], abs=4)
    names = """return [...document.querySelectorAll(
      '.player figcaption')].map((c) => c.textContent)"""
    assert window.run(names) == ['a', 'a']


def test_opens_on_the_reference_and_the_best(window: Browser, page: Path):
    window.open(page)
    chosen = """return [...document.querySelectorAll('.bar select')].map(
      (list) => list.value)"""
    assert window.run(chosen) == ['star', 'bicubic'] * 2
