"""The test sets' command: every set in small, killed runs, wrong use."""

import importlib
import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from mmengine.registry import init_default_scope

from star.apis.inference.build import load_config
from star.cli.options.choices import OPENVID_SETS
from star.cli.prepare import test_sets as command_module
from star.datasets.openvid_table import split_of
from star.datasets.published_sets import PUBLISHED
from star.datasets.test_set_clips import PrepareOptions, degrade_clip
from star.datasets.video_folder import read_clip
from star.registry import DATASETS
from star.utils.paths import config_root
from tests.paths import ROOT
from tests.test_datasets.openvid_tables import make_row, write_table
from tests.test_datasets.sets import write_frames
from tests.test_video.clips import pictures, write_clip

FRAMES = 8


@pytest.fixture
def run(star):
    """Run the command in this process."""

    def call(*arguments):
        done = star('prepare', 'test-sets', *arguments)
        return done.code, done.out, done.err

    return call


@pytest.fixture
def small(monkeypatch):
    """Shrink the published sets to two clips of eight small frames."""
    for key, published in PUBLISHED.items():
        size = published.size and (48, 64)
        frames = published.num_frames and FRAMES
        less = replace(published, num_clips=2, num_frames=frames, size=size)
        monkeypatch.setitem(PUBLISHED, key, less)
    for key, (name, _, _, size) in OPENVID_SETS.items():
        few = (name, 2, FRAMES, size and (40, 32))
        monkeypatch.setitem(OPENVID_SETS, key, few)
    monkeypatch.setattr(command_module, '_LEAST', (48, 64))


@pytest.fixture
def clips(tmp_path):
    """The owners' files of all sets."""
    for i, name in enumerate(('archpeople', 'lake')):
        write_frames(tmp_path / 'udm10' / name / 'truth', pictures(8, seed=i))
    for i, name in enumerate(('000', '029')):
        gt = tmp_path / 'reds' / 'val_sharp' / name
        write_frames(gt, pictures(8, seed=i))
        lq = tmp_path / 'VideoLQ' / name
        write_frames(lq, pictures(8, 20 + 8 * i, 12, seed=i))
    (tmp_path / 'openvid').mkdir()
    for i, name in enumerate(('x', 'y')):
        write_clip(tmp_path / 'openvid' / f'{name}.mp4', pictures(10, seed=i))
    return tmp_path


def prepare_all(run, clips):
    """Prepare the four sets of the paper; return their folder."""
    sets = clips / 'sets'
    for command, source, name in (
        ('udm10', 'udm10', 'UDM10'),
        ('reds30', 'reds', 'REDS30'),
        ('openvid30', 'openvid', 'OpenVid30'),
        ('videolq', '.', 'VideoLQ'),
    ):
        more = ['--frames', FRAMES] if name == 'OpenVid30' else []
        code, out, err = run(command, clips / source, sets / name, *more)
        assert (code, out) == (
            0,
            f'{sets / name}: {name}, 2 clips, 16 frames\n',
        ), err
    return sets


def test_all_sets_of_the_config(run, small, clips):
    """They are prepared, and read through the config that names them."""
    sets = prepare_all(run, clips)
    config = load_config(config_root() / 'star' / 'i2vgen.py')
    joined = config.test_dataloader.dataset
    for each in joined.datasets:
        assert each.data_root == f'data/test_sets/{each.name}'
        each.data_root = str(sets / each.name)
    importlib.import_module('mmengine.dataset')  # as its Runner does
    init_default_scope('star')
    dataset = DATASETS.build(joined)
    items = [dataset[i] for i in range(len(dataset))]
    samples = [item['data_samples'] for item in items]
    assert [(s.dataset, s.name) for s in samples] == [
        *(('UDM10', 'archpeople'), ('UDM10', 'lake')),
        *(('REDS30', '000'), ('REDS30', '029')),
        *(('OpenVid30', 'x'), ('OpenVid30', 'y')),
        *(('VideoLQ', '000'), ('VideoLQ', '029')),
    ]
    for item, sample in zip(items[:6], samples[:6], strict=True):
        gt = sample.gt.permute(0, 2, 3, 1).numpy()
        lq, _ = degrade_clip(sample.name, gt, PrepareOptions())
        assert torch.equal(item['inputs'].permute(0, 2, 3, 1), tensor(lq))
    assert [s.gt for s in samples[6:]] == [None, None]
    assert torch.equal(
        samples[1].gt.permute(0, 2, 3, 1), tensor(pictures(8, seed=1))
    )
    assert torch.equal(
        items[7]['inputs'].permute(0, 2, 3, 1),
        tensor(pictures(8, 28, 12, seed=1)),
    )


def tensor(frames):
    return torch.from_numpy(frames)


def test_what_the_config_measures():
    """One config for all methods; ILNIQE only where the paper has it."""
    evaluators = [
        load_config(config_root() / name).test_evaluator
        for name in ('star/i2vgen.py', 'interpolation/bicubic.py')
    ]
    assert evaluators[0] == evaluators[1]
    kinds = [each.type for each in evaluators[0]]
    paper = {'PSNR', 'SSIM', 'LPIPS', 'ILNIQE', 'DOVER', 'EWarp'}
    assert set(kinds) == paper
    (ilniqe,) = (e for e in evaluators[0] if e.type == 'ILNIQE')
    assert ilniqe.datasets == ['VideoLQ']


def test_manifests(run, small, clips):
    sets = prepare_all(run, clips)
    manifests = {
        path.parent.name: json.loads(path.read_text())
        for path in sets.glob('*/set.json')
    }
    assert {name: m['name'] for name, m in manifests.items()} == {
        name: name for name in ('UDM10', 'REDS30', 'OpenVid30', 'VideoLQ')
    }
    assert manifests['VideoLQ']['degradation'] is None
    assert manifests['UDM10']['degradation']['preset'] == 'star'
    assert manifests['UDM10']['source'] == 'UDM10 (Yi et al., PFNL, ICCV 2019)'
    assert manifests['OpenVid30']['source'].endswith('the clips by: a folder')
    assert manifests['OpenVid30']['clips']['x']['fps'] == 25
    # no date, no place: the same command gives the same file elsewhere
    assert str(clips) not in json.dumps(manifests)


def test_verifying(run, small, clips):
    sets = prepare_all(run, clips)
    code, out, err = run('verify', sets / 'UDM10')
    assert code == 0
    assert out.startswith(f'{sets / "UDM10"}: UDM10, 2 clips, 16 frames: noth')
    assert err.splitlines() == ['1/2 archpeople: good', '2/2 lake: good']
    frames = sets / 'UDM10' / 'lq' / 'lake'
    (frames / '00000003.png').unlink()
    os.link(frames / '00000002.png', frames / '00000003.png')
    code, out, err = run('verify', sets / 'UDM10')
    assert code == 1
    lines = out.splitlines()
    assert lines[0] == f'{sets / "UDM10"}: lq/lake has other pixels'
    assert lines[1].endswith(lines[1][lines[1].index('1 differences') :])
    assert err.splitlines() == ['1/2 archpeople: good', '2/2 lake: differs']
    code, _, err = run('verify', clips)
    assert code == 2 and err.startswith('error: ') and 'not a test set' in err


def test_openvid10_is_cropped(run, small, clips):
    code, _, err = run(
        *('openvid10', clips / 'openvid', clips / 'out'),
        *('--frames', 5, '--ffv1'),
    )
    assert code == 0
    assert '2/2 clips: y, 5 frames, gt 32x40, lq 8x10, ' in err
    frames, _ = read_clip(clips / 'openvid' / 'y.mp4')
    cut, _ = read_clip(clips / 'out' / 'gt' / 'y.mkv')
    assert (cut == frames[:5, 4:44, 16:48]).all()


def test_openvid_by_list_and_by_table(run, small, clips):
    source, out = clips / 'openvid', clips / 'out'
    held = [n for n in map(str, range(4000)) if split_of(f'{n}.mp4') == 'test']
    rows = [make_row('x.mp4', width=64, height=48, frame=10)]
    for name in held[:2]:
        write_clip(source / f'{name}.mp4', pictures(9))
        rows.append(make_row(f'{name}.mp4', width=64, height=48, frame=9))
    table = write_table(clips / 'verified.csv', rows)
    command = 'openvid30', source
    code, _, err = run(*command, out)
    assert code == 2 and 'OpenVid30 has 2 clips,' in err and 'has 4' in err
    frames = '--frames', FRAMES
    assert run(*command, out / 'a', '--table', table, *frames)[0] == 0
    manifest = json.loads((out / 'a' / 'set.json').read_text())
    assert set(manifest['clips']) == set(held[:2])
    assert 'smallest SHA-256' in manifest['source']
    (clips / 'list.txt').write_text(f'{held[0]}.mp4\ny.mp4\n')
    listing = '--list', clips / 'list.txt'
    assert run(*command, out / 'b', *listing, *frames)[0] == 0
    manifest = json.loads((out / 'b' / 'set.json').read_text())
    assert set(manifest['clips']) == {held[0], 'y'}
    assert manifest['clips']['y']['frames'] == FRAMES


def test_any_folder(run, clips):
    source, out = clips / 'VideoLQ', clips / 'out'
    code, line, _ = run('folder', 'mine', source, out, '--real', '--link')
    assert (code, line) == (0, f'{out}: mine, 2 clips, 16 frames\n')
    assert (out / 'lq' / '000' / '00000000.png').is_symlink()
    pairs = clips / 'pairs'
    (clips / 'udm10' / 'lake' / 'truth').rename(clips / 'udm10' / 'picture')
    code, _, err = run('folder', 'gt', clips / 'udm10', pairs, '--clips', 'no')
    assert code == 2 and err == (
        'error: `clips`: there is no no, only picture\n'
    )
    arguments = '--preset', 'light', '--seed', 3, '--source', 'drawn'
    assert run('folder', 'gt', clips / 'udm10', pairs, *arguments)[0] == 0
    manifest = json.loads((pairs / 'set.json').read_text())
    assert manifest['degradation'] == {
        'type': 'RealESRGANVideoDegradation',
        'version': 1,
        'preset': 'light',
        'scale': 4,
        'seed': 3,
    }
    assert (manifest['name'], manifest['source']) == ('gt', 'drawn')


def test_wrong_counts(run, small, clips):
    (clips / 'udm10' / 'lake' / 'truth' / '00000007.png').unlink()
    command = 'udm10', clips / 'udm10', clips / 'out'
    code, _, err = run(*command)
    assert code == 2
    assert 'UDM10 has 8 frames in each clip, lake has 7; --as-is' in err
    assert not (clips / 'out').exists()
    code, out, _ = run(*command, '--as-is')
    assert code == 0 and out.endswith('2 clips, 15 frames\n')
    command = 'udm10', clips / 'udm10', clips / 'some'
    assert run(*command, '--clips', 'archpeople')[0] == 0
    code, _, err = run('reds30', clips / 'udm10' / 'lake', clips / 'other')
    assert code == 2 and 'REDS30 has 2 clips, but there are 1: truth' in err


def test_wrong_use(run, clips):
    command = 'udm10', clips / 'udm10', clips / 'out'
    code, _, err = run(*command, '--size', '48')
    assert code == 2 and 'must be HxW' in err and "got '48'" in err
    code, _, err = run(*command, '--as-is', '--size', '50x64')
    assert code == 2 and err.startswith('error: `scale` 4 must divide the ')
    code, _, err = run(*command, '--as-is', '--size', '80x64')
    assert code == 2
    assert err.startswith('error: clip archpeople: ') and 'smaller' in err
    code, _, err = run('videolq', clips / 'none', clips / 'out')
    assert code == 2 and err == f'error: no such folder: {clips / "none"}\n'


# Starts the command, waits for a new clip and a moment, and kills it: for each
# of the given pauses. Forks, as starting takes longer than all the rest.
KILLER = """
import os, signal, sys, time
from pathlib import Path
import cv2
cv2.setNumThreads(0)
from star.datasets import test_set_writer as writer
from star.cli.main import main

def slow(function):
    def call(*arguments):
        time.sleep(0.05)
        return function(*arguments)
    return call

for name in ('write_lossless', 'degrade_clip', 'write_json'):
    setattr(writer, name, slow(getattr(writer, name)))
pauses, words = sys.argv[1].split(','), sys.argv[2:]
records, kills = Path(words[-1]) / 'records', 0
for pause in pauses:
    before, process = len(list(records.glob('c*.json'))), os.fork()
    if not process:
        os._exit(main(['prepare', 'test-sets', *words]))
    until = time.monotonic() + 60
    while len(list(records.glob('c*.json'))) == before:
        assert time.monotonic() < until
        time.sleep(0.01)
    time.sleep(float(pause))
    os.kill(process, signal.SIGKILL)
    kills += os.waitpid(process, 0)[1] == signal.SIGKILL
print(kills)
"""


def test_killed_again_and_again(run, tmp_path):
    """Whenever it is killed, the same command ends with the same set."""
    source, target = tmp_path / 'many', tmp_path / 'killed'
    for i in range(8):
        write_frames(source / f'c{i}', pictures(3, seed=i))
    arguments = 'folder', 'mine', source
    result = subprocess.run(
        [
            *(sys.executable, '-c', KILLER, '0,0.05,0.1,0.15,0.2'),
            *map(str, [*arguments, target]),
        ],
        cwd=ROOT,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert int(result.stdout.splitlines()[-1]) >= 3
    code, _, err = run(*arguments, target)
    assert code == 0 and 'there already' in err
    assert run(*arguments, tmp_path / 'whole')[0] == 0
    whole, rest = contents(tmp_path / 'whole'), contents(target)
    assert len(whole) == 8 * 7 + 1 and rest == whole


def contents(root):
    return {
        path.relative_to(root): path.read_bytes()
        for path in root.rglob('*')
        if path.is_file()
    }
