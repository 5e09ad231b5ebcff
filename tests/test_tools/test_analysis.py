"""The tools that show a config, its data and its log, as a user calls them."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from tests.paths import ROOT
from tests.test_apis.test_analysis.test_training_log import entry, write
from tests.test_tools.test_figures import call, error_of, is_drawn
from tests.test_tools.tools import load_tool

FOLDER = 'analysis_tools'
PRINT = load_tool(f'{FOLDER}/print_config.py')
BROWSE = load_tool(f'{FOLDER}/browse_dataset.py')
LOGS = load_tool(f'{FOLDER}/analyze_logs.py')
DATA = 'train_dataloader.dataset.data_root'
TRAINED = sorted(
    path.relative_to(ROOT / 'configs').as_posix()
    for path in (ROOT / 'configs').glob('[!_]*/*.py')
    if Config.fromfile(path, import_custom_modules=False).get(
        'train_dataloader'
    )
)


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A captioned folder of one clip with 9 frames of noise."""
    root = tmp_path_factory.mktemp('captioned')
    (root / 'gt/noise').mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(9):
        frame = rng.integers(0, 256, (96, 128, 3), dtype=np.uint8)
        Image.fromarray(frame).save(root / f'gt/noise/{i}.png')
    (root / 'text').mkdir()
    (root / 'text/noise.txt').write_text('noise')
    return root


def test_a_printed_config_is_the_config(
    tmp_path: Path, capsys: pytest.CaptureFixture
):
    saved, changes = (
        tmp_path / 'a.py',
        ['--cfg-options', 'train_cfg.max_iters=7'],
    )
    assert call(PRINT, 'tiny', '--save-path', saved, *changes) == 0
    text = capsys.readouterr().out
    assert saved.read_text() == text
    found = Config.fromstring(text, '.py')
    expected = Config.fromfile(ROOT / 'configs/star/tiny.py')
    expected.train_cfg.max_iters = 7
    assert found.to_dict() == expected.to_dict()


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['tini'], "no config 'tini'; did you mean tiny"),
        (['tiny', '--cfg-options', 'modelo.a=1'], "did you mean 'model'"),
    ],
)
def test_print_refuses(
    words: list, message: str, capsys: pytest.CaptureFixture
):
    assert call(PRINT, *words) == 2
    assert message in error_of(capsys)


def test_browse_writes_what_training_sees(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    changes = ['--cfg-options', f'{DATA}={folder}']
    options = ['--number', 2, '--frames', 1, *changes]
    for name, seed in {'a': 3, 'b': 3, 'c': 4}.items():
        out = ['--output-dir', tmp_path / name, '--seed', seed]
        assert call(BROWSE, 'tiny', *out, *options) == 0
    assert 'noise@' in capsys.readouterr().out
    files = {
        name: [p.read_bytes() for p in sorted((tmp_path / name).iterdir())]
        for name in 'abc'
    }
    assert len(files['a']) == 4
    assert files['a'] == files['b'] != files['c']
    (picture, _) = sorted((tmp_path / 'a').glob('*.png'))
    assert Image.open(picture).size == (2 * 96, 88)


@pytest.mark.parametrize('name', TRAINED)
def test_browse_knows_every_training_config(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch
):
    monkeypatch.chdir(tmp_path)  # where there are no data
    config = ROOT / 'configs' / name
    assert call(BROWSE, config, '--output-dir', tmp_path / 'out') == 2
    assert re.match(r'error: .*data/', error_of(capsys))


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['bicubic'], 'bicubic.py is not for training'),
        (['tiny', '--number', 0], 'must be a whole number of at least 1'),
        (['tiny', '--cfg-options', f'{DATA}=nowhere'], 'nowhere'),
    ],
)
def test_browse_refuses(
    words: list, message: str, tmp_path: Path, capsys: pytest.CaptureFixture
):
    assert call(BROWSE, *words, '--output-dir', tmp_path / 'out') == 2
    assert message in error_of(capsys)
    assert not (tmp_path / 'out').exists()


def test_a_curve(tmp_path: Path):
    a = write(tmp_path / 'a.json', entry(1, 3.0), entry(20, 2.5))
    b = write(tmp_path / 'b.json', entry(1, 4.0))
    out = tmp_path / 'curves/loss.png'
    options = ['--legend', 'first', 'second', '--title', 'loss', '--out', out]
    assert call(LOGS, 'plot_curve', a, b, *options) == 0
    assert is_drawn(out)
    with open(out.with_suffix('.csv'), newline='') as file:
        rows = [list(row.values()) for row in csv.DictReader(file)]
    assert rows == [
        ['first', '1', '3.0'],
        ['first', '20', '2.5'],
        ['second', '1', '4.0'],
    ]


def test_the_time(tmp_path: Path, capsys: pytest.CaptureFixture):
    lines = [entry(i, 0, t) for i, t in ((1, 9.0), (20, 1.0), (40, 2.0))]
    path = write(tmp_path / 'a.json', *lines)
    assert call(LOGS, 'cal_train_time', path) == 0
    assert '1.5000 s an iteration over 2 lines' in capsys.readouterr().out
    assert call(LOGS, 'cal_train_time', path, '--include-outliers') == 0
    assert '4.0000 s an iteration over 3 lines' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--keys', 'los'], "the log has no 'los'; it has loss"),
        (['--legend', 'a', 'b'], 'must name each of 1 curves'),
        (['--out', 'a.pdf'], 'must be a file that ends in .png'),
    ],
)
def test_curves_refuse(
    options: list, message: str, tmp_path: Path, capsys: pytest.CaptureFixture
):
    path = write(tmp_path / 'a.json', entry(1, 3.0))
    out = ['--out', tmp_path / 'a.png']
    assert call(LOGS, 'plot_curve', path, *out, *options) == 2
    assert message in error_of(capsys)


def openmmlab_reads(path: Path) -> dict[str, list[float]]:
    """Read a log by the rules of OpenMMLab's own tools.

    Names with a slash belong to a validation, whose line has no others that
    count; the rest are numbers of the training.
    """
    found: dict[str, list[float]] = {}
    for line in path.read_text().splitlines():
        numbers = json.loads(line)
        scores = [name for name in numbers if '/' in name]
        for name in scores or numbers:
            found.setdefault(name.split('/')[-1], []).append(numbers[name])
    return found


def test_openmmlabs_tools_find_the_names(tmp_path: Path):
    score = {'val/PSNR': 20.5, 'iter': 20}
    path = write(tmp_path / 'a.json', entry(1, 3.0), score, entry(20, 2.0))
    found = openmmlab_reads(path)
    assert found['loss'] == [3.0, 2.0] and found['PSNR'] == [20.5]
    assert found['time'] == [1.0, 1.0]
