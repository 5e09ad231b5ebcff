"""docs/tutorial.md: its commands, read from the page and run in order.

By default clips are short, few iterations are done, and all commands run in
one process. The slow form runs the page as it stands.
"""

import io
import json
import os
import re
import shlex
import subprocess
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path
from urllib.request import urlopen

import cv2
import numpy as np
import pytest
from safetensors.numpy import load_file

from star.cli.main import main
from star.video.io import VideoReader, probe
from tests.documents import join_lines
from tests.paths import ROOT
from tests.test_tools.tools import load_tool

PAGE = ROOT / 'docs/tutorial.md'
FRAMES, SIZE = 12, (384, 512)  # of the sample clips, height and width
SHORT_FRAMES = 4  # of those of the short form
# the short form, by options that the page names
SHORT = {
    'star train finetune_folder': '--cfg-options train_cfg.max_iters=2 '
    'default_hooks.logger.interval=1',
}
LIMIT = 300  # processor seconds of the whole page
TAGS = '/data/plugin/scalars/tags'


def read_commands(text: str) -> list[str]:
    """Return the lines of the blocks of a page that a shell runs."""
    blocks = re.findall(r'(?:\A|\n\n)((?:    .*(?:\n|\Z))+)', text)
    lines = (line for block in blocks for line in join_lines(block))
    return [line for line in lines if line]


def shorten(command: str) -> str:
    """Add the options of the short form, whose clips are others."""
    more = [options for key, options in SHORT.items() if key in command]
    command = command.replace('iter_100', 'iter_2')
    command = command.replace(f'--frames {FRAMES}', f'--frames {SHORT_FRAMES}')
    return ' '.join([command, *more])


def processor_seconds() -> float:
    """Return the seconds that this process and its children have computed.

    Other work on the machine does not count.
    """
    return sum(os.times()[:4])


class Reader:
    """Somebody who types the commands of the page.

    Args:
        folder: seems to be a checkout without data.
        whole: runs the page as it stands; else the short form.
    """

    def __init__(self, folder: Path, whole: bool) -> None:
        self.folder, self.whole = folder, whole
        self.names: set[str] = set()
        self.output: dict[str, str] = {}
        self.seconds = 0.0
        for name in ('configs', 'tools'):
            (folder / name).symlink_to(ROOT / name)
        scripts = Path(sys.executable).parent
        self.environment = {
            **os.environ,
            'PATH': f'{scripts}{os.pathsep}{os.environ["PATH"]}',
            'HF_HUB_OFFLINE': '1',
        }

    def run(self, command: str) -> str:
        """Run a command, which must succeed, and return what it prints."""
        begin = processor_seconds()
        if self.whole or command.startswith(('echo', 'mkdir')):
            self.output[command] = self.start(command)
        else:
            self.output[command] = self.call(command)
        self.seconds += processor_seconds() - begin
        return self.output[command]

    def call(self, command: str) -> str:
        """Run a command in this process."""
        first, *words = shlex.split(command)
        printed = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
            patch.chdir(self.folder)
            patch.setattr('sys.argv', words)
            if first == 'star':
                code = main(words)
            else:
                code = load_tool(words[0].removeprefix('tools/')).main()
        assert not code, command
        return printed.getvalue()

    def start(self, command: str) -> str:
        """Run a command as a process of its own."""
        done = subprocess.run(
            ['bash', '-c', command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=2 * LIMIT,  # other work may take the cores
        )
        assert done.returncode == 0, f'{command}\n{done.stderr[-2000:]}'
        return done.stdout

    def watch(self, command: str) -> set[str]:
        """Start TensorBoard and return the names of its numbers."""
        begin, end = processor_seconds(), time.monotonic() + LIMIT
        process = subprocess.Popen(
            [*shlex.split(command), '--port', '0'],
            cwd=self.folder,
            env=self.environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stderr is not None
            lines = (re.search(r'http://\S+', x) for x in process.stderr)
            address = next(found[0] for found in lines if found)
            names: set[str] = set()
            while not names and time.monotonic() < end:
                with urlopen(address.rstrip('/') + TAGS, timeout=30) as page:
                    runs = json.load(page)
                names = {name for tags in runs.values() for name in tags}
                time.sleep(0.2)
            return names
        finally:
            process.kill()
            process.communicate()
            self.seconds += processor_seconds() - begin

    def score(self, name: str, metric: str = 'PSNR') -> float:
        """Return a score of a test of the page."""
        path = self.folder / 'work_dirs/test' / name / 'results.json'
        results = json.loads(path.read_text())
        assert results['problems'] == []
        assert results['method']['random_init'] is False
        return results['sets']['mine']['scores'][metric]


@pytest.fixture(
    scope='module',
    params=['short', pytest.param('whole', marks=pytest.mark.slow)],
)
def reader(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Reader:
    """Run the page once; the numbers that TensorBoard shows are `names`."""
    folder = tmp_path_factory.mktemp('checkout')
    made = Reader(folder, request.param == 'whole')
    for command in read_commands(PAGE.read_text(encoding='utf-8')):
        if command.startswith('tensorboard'):
            made.names = made.watch(command)
        else:
            made.run(command if made.whole else shorten(command))
    print(f'{made.seconds:.0f} s')
    return made


def frames_of(path: Path) -> np.ndarray:
    """Read a clip, (T, H, W, 3) uint8."""
    with VideoReader(path) as video:
        return np.stack([frame.image for frame in video])


def test_the_page_is_read_whole():
    text = PAGE.read_text(encoding='utf-8')
    commands = read_commands(text)
    for start in ('star train', 'star test', 'star restore', 'tensorboard'):
        assert any(command.startswith(start) for command in commands), start
    assert commands[-1].startswith('star restore')
    assert len(commands) == len(re.findall(r'^    \w.*', text, re.M))
    assert len(text.splitlines()) < 150  # one page


def test_the_clip_is_restored(reader: Reader):
    info = probe(reader.folder / 'new.mp4')
    assert (info.height, info.width) == SIZE
    frames = frames_of(reader.folder / 'new.mp4')
    length = FRAMES if reader.whole else SHORT_FRAMES
    assert frames.shape == (length, *SIZE, 3)
    # sharper than the enlarged input, and of the same content
    old = frames_of(reader.folder / 'old/cat.mp4')
    large = np.stack([cv2.resize(f, SIZE[::-1], interpolation=2) for f in old])
    assert np.abs(frames.astype(float) - large).mean() < 12
    truth = frames_of(reader.folder / 'data/held_out/cat.mp4').astype(float)
    assert np.abs(frames - truth).mean() < 12


def test_scores_are_those_of_the_weights(reader: Reader):
    step = 'iter_100' if reader.whole else 'iter_2'
    scores = {name: reader.score(name) for name in ('before', 'after')}
    assert scores['before'] != scores['after'] != reader.score('averaged')
    if reader.whole:  # as the page says
        found = [round(reader.score(name, 'SSIM'), 2) for name in scores]
        assert found == pytest.approx([0.59, 0.64], abs=0.011)
    published = load_file(reader.folder / 'mine.safetensors')
    folder = reader.folder / 'work_dirs/finetune_folder' / step
    trained = load_file(folder / 'weights.safetensors')
    assert published.keys() == trained.keys()
    for name, tensor in trained.items():
        assert (published[name] == tensor).all()
    reader.run(
        'star restore data/test_sets/mine/lq/cat again --codec png '
        '--config finetune_folder --weights mine.safetensors'
    )
    gt, pred = (
        frames_of(reader.folder / path).astype(float)
        for path in ('data/test_sets/mine/gt/cat.mp4', 'again')
    )
    errors = np.square(gt - pred).mean((1, 2, 3))
    psnr = float(np.mean(10 * np.log10(255**2 / errors)))
    assert psnr == pytest.approx(scores['after'], abs=1e-6)


def test_published_averages_score_as_the_checkpoints(reader: Reader):
    step = 'iter_100' if reader.whole else 'iter_2'
    reader.run(
        f'star convert publish work_dirs/finetune_folder/{step} '
        'averaged.safetensors --ema'
    )
    reader.run(
        'star test finetune_folder averaged.safetensors --name published'
    )
    assert reader.score('published') == reader.score('averaged')


def test_the_numbers_have_openmmlabs_names(reader: Reader):
    expected = {'loss', 'loss_velocity', 'loss_frequency', 'lr', 'grad_norm'}
    expected |= {'memory', 'time', 'data_time'}
    assert expected <= reader.names
    assert not any('/' in name for name in reader.names)


def test_what_the_page_shows_on_the_way(reader: Reader):
    files = sorted(p.name for p in (reader.folder / 'browse').iterdir())
    assert len(files) == 8 and files[0].startswith('00000_')
    for name in ('loss.png', 'loss.csv', 'report/index.html'):
        assert (reader.folder / name).stat().st_size > 0
    plans = [text for c, text in reader.output.items() if '--dry-run' in c]
    assert 'star_tiny_compact.safetensors' in plans[0]
    assert 'CaptionedFolder, data/mine: 2 videos' in plans[0]


def test_the_page_takes_less_than_five_minutes(reader: Reader):
    assert reader.seconds < LIMIT
