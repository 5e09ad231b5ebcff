"""`star test`: exit codes, lines, files."""

import hashlib
import json
import pickle
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from star.cli.main import main
from star.cli.test import method_name
from star.models.editors import RealESRGANCompact
from star.models.restoration.options import CUTS
from tests.paths import ROOT
from tests.test_apis.folders import psnr, write_folder

BICUBIC = ROOT / 'configs' / 'interpolation' / 'bicubic.py'
SAVED = ROOT / 'configs' / 'saved_results' / 'saved_results.py'


@pytest.fixture
def call(monkeypatch, capfd, tmp_path):
    """Run `star test` with a work folder; give exit code, out, errors."""
    monkeypatch.chdir(tmp_path)

    def run(config, *args, metrics=('PSNR',)):
        words = ['test', config, '--work-dir', tmp_path / 'work', *args]
        words += ['--cfg-options', 'test_dataloader.num_workers=0']
        words += ['--metrics', *metrics]
        capfd.readouterr()
        code = main([str(word) for word in words])
        out, err = capfd.readouterr()
        errors = [
            line
            for line in err.splitlines()
            if line.startswith(('error', 'problem', 'left out'))
        ]
        return code, out, errors

    return run


def results(folder: Path) -> dict:
    return json.loads((folder / 'results.json').read_text())


def test_a_set_of_ones_own(call, tmp_path):
    root = write_folder(tmp_path / 'clips', 'ab')
    code, out, errors = call(BICUBIC, '--set', f'mine={root}', '--save', 'png')
    assert (code, errors) == (0, [])
    found = results(tmp_path / 'work')
    mean = (psnr(root, 'a') + psnr(root, 'b')) / 2
    scores = found['sets']['mine']['scores']
    assert scores.keys() == {'PSNR', 'PSNR_Y'}
    assert scores['PSNR'] == pytest.approx(mean, abs=0.3)
    assert found['method']['name'] == 'bicubic'
    assert not found['method']['random_init']
    assert f'bicubic, mine (2 clips): PSNR {scores["PSNR"]:.4g}' in out
    saved = call(
        *(SAVED, '--results', tmp_path / 'work' / 'restored'),
        *('--set', f'mine={root}', '--work-dir', tmp_path / 'saved'),
        *('--name', 'again'),
    )
    assert saved[0] == 0
    again = results(tmp_path / 'saved')
    assert again['method']['name'] == 'again'
    assert again['protocol']['input'] == 'png frames'
    assert again['sets']['mine']['scores'] == scores
    same = found['protocol']['fingerprint']
    assert again['protocol']['fingerprint'] == same


@pytest.fixture
def compact(tmp_path):
    """Write the config of a small network with weights in a file."""
    config = tmp_path / 'compact.py'
    lines = [f'_base_ = {str(BICUBIC)!r}', 'model = dict(']
    lines += ["    type='RealESRGANCompact', num_conv=1, tile=8,"]
    lines += ['    tile_overlap=4,', "    weights='animevideov3.pth',", ')']
    config.write_text('\n'.join(lines))
    torch.manual_seed(0)
    state = RealESRGANCompact(1).network.state_dict()
    torch.save({'params': state}, tmp_path / 'animevideov3.pth')
    return config


def test_a_baseline_with_random_weights(call, compact, tmp_path):
    root = write_folder(tmp_path / 'clips', 'a')
    code, out, errors = call(compact, 'none', '--set', f'mine={root}')
    assert (code, errors) == (0, [])
    assert 'compact (random weights), mine' in out
    work = tmp_path / 'work'
    method = results(work)['method']
    assert method['random_init'] and method['weights'] == {}
    assert method['dtype'] == 'float32'
    recipe = method['options']
    assert recipe['licence'] == 'BSD-3-Clause'
    assert recipe['scale'] == 4
    assert not CUTS & recipe.keys()  # the result does not depend on them
    assert not {'prompt', 'steps', 'seed'} & recipe.keys()
    assert 'random weights' in (work / 'sets.csv').read_text()
    page = tmp_path / 'page'
    assert main(['benchmark', str(work), '--out', str(page)]) == 0
    assert 'compact (random weights)' in (page / 'report.md').read_text()


def test_a_baselines_weights(call, compact, tmp_path):
    root = write_folder(tmp_path / 'clips', 'a')
    path = tmp_path / 'animevideov3.pth'
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest()}
    found = []
    for name, word in (('a', 'default'), ('b', path)):
        arguments = [word, '--set', f'mine={root}', '--dtype', 'fp32']
        arguments += ['--work-dir', tmp_path / name]
        code, _, errors = call(compact, *arguments)
        assert (code, errors) == (0, [])
        found.append(results(tmp_path / name))
    assert [each['method']['weights'] for each in found] == [files, files]
    scores = [each['sets']['mine']['scores'] for each in found]
    assert scores[0] == scores[1]
    path.write_bytes(b'')
    code, _, errors = call(compact, path, '--set', f'mine={root}')
    assert code == 2 and len(errors) == 1 and 'animevideov3.pth' in errors[0]


def test_a_missing_extra(call, tmp_path, monkeypatch):
    def fail():
        raise ImportError('`mmagic` is not installed; it comes with the extra')

    home = 'star.models.editors.real_basicvsr.real_basicvsr'
    monkeypatch.setattr(f'{home}.import_mmagic', fail)
    root = write_folder(tmp_path / 'clips', 'a')
    code, _, errors = call('realbasicvsr', 'none', '--set', f'mine={root}')
    assert code == 2 and len(errors) == 1 and 'comes with' in errors[0]
    assert not (tmp_path / 'work').exists()


def test_results_that_do_not_fit_the_set(call, tmp_path):
    root = write_folder(tmp_path / 'clips', 'ab')
    (tmp_path / 'made' / 'mine' / 'a').mkdir(parents=True)
    arguments = ['--results', tmp_path / 'made', '--set', f'mine={root}']
    code, _, errors = call(SAVED, *arguments)
    assert code == 2 and '1 missing, 0 unknown: b is missing' in errors[0]
    assert len(errors) == 1
    code, _, errors = call(BICUBIC, *arguments)
    assert code == 2 and '--results goes with' in errors[0]


def test_a_metric_without_weights_is_left_out(call, tmp_path):
    root = write_folder(tmp_path / 'clips', 'a', frames=3)
    code, _, errors = call(
        *(BICUBIC, '--set', f'mine={root}'),
        metrics=('EWarp:weights=none.pth', 'PSNR'),
    )
    assert code == 1
    assert errors[0].startswith('left out: EWarp: ')
    assert errors[1] == errors[0].replace('left out', 'problem')
    found = results(tmp_path / 'work')
    assert found['problems'] == [errors[0].removeprefix('left out: ')]
    assert found['sets']['mine']['scored'] == {'PSNR': 1, 'PSNR_Y': 1}


@pytest.fixture
def filtered(tmp_path):
    """Write a config whose only metric is for a set of the config."""
    config = tmp_path / 'filtered.py'
    lines = [f'_base_ = {str(BICUBIC)!r}', 'test_evaluator = [']
    lines += ["    dict(type='Brightness', datasets=['VideoLQ'])", ']']
    config.write_text('\n'.join(lines))
    return config


def test_a_named_metric_is_for_all_sets(call, filtered, tmp_path):
    root = write_folder(tmp_path / 'clips', 'ab', gt=False)
    chosen = ('--set', f'mine={root}')
    code, out, errors = call(filtered, *chosen, metrics=['Brightness'])
    assert (code, errors) == (0, [])
    score = results(tmp_path / 'work')['sets']['mine']['scores']['Brightness']
    pixels = [p for p in root.rglob('*.png') if p.parent.name in 'ab']
    mean = np.mean([cv2.imread(str(path)).mean() for path in pixels])
    assert score == pytest.approx(mean, abs=1)
    assert f'mine (2 clips): Brightness {score:.4g}' in out


def test_no_set_is_without_scores(call, filtered, tmp_path):
    root = write_folder(tmp_path / 'clips', 'a', gt=False)
    chosen = ('--set', f'mine={root}', '--work-dir', tmp_path / 'other')
    words = [*map(str, ('test', filtered, *chosen))]
    assert main(words) == 2  # the config has its metric for another set
    code, _, errors = call(BICUBIC, *chosen, metrics=['PSNR', 'SSIM'])
    assert code == 2 and len(errors) == 1
    assert 'set mine would have no scores: PSNR needs ground' in errors[0]
    code, _, errors = call(BICUBIC, *chosen, metrics=['PSNR', 'Brightness'])
    lines = [f'{m} of mine: it needs ground truth' for m in ('PSNR', 'PSNR_Y')]
    assert code == 1 and len(errors) == 4
    for line, error in zip(lines, errors[:2], strict=True):
        assert error.startswith(f'left out: {line}')
    for line, error in zip(lines, errors[2:], strict=True):
        assert error.startswith(f'problem: {line}')
    typo = ("Brightness:datasets=['my']",)
    code, _, errors = call(BICUBIC, *chosen, metrics=typo)
    assert code == 2 and "names 'my', which is no set" in errors[0]


def test_metrics_are_added(call, tmp_path):
    root = write_folder(tmp_path / 'clips', 'ab')
    chosen = ('--set', f'mine={root}')
    assert call(BICUBIC, *chosen, '--save', 'png')[0] == 0
    code, out, errors = call(BICUBIC, *chosen, metrics=['PSNR', 'SSIM'])
    assert (code, errors) == (0, [])
    assert call(
        *(BICUBIC, *chosen, '--work-dir', tmp_path / 'fresh'),
        metrics=['PSNR', 'SSIM'],
    )[:2] == (0, out.replace(str(tmp_path / 'work'), str(tmp_path / 'fresh')))
    added, fresh = results(tmp_path / 'work'), results(tmp_path / 'fresh')
    scores = added['sets']['mine']['scores']
    assert scores == fresh['sets']['mine']['scores']
    assert None not in scores.values()
    arguments = (*chosen, '--work-dir', tmp_path / 'fresh')
    metrics = ['PSNR', 'SSIM', 'Brightness']
    code, _, errors = call(BICUBIC, *arguments, metrics=metrics)
    assert code == 2 and len(errors) == 1
    assert 'holds a test without Brightness' in errors[0]
    assert '--save png' in errors[0] and '--work-dir' in errors[0]


def test_results_and_pictures(call, tmp_path):
    root = write_folder(tmp_path / 'clips', 'ab', frames=3)
    shown = tmp_path / 'shown'
    for suffix, read in (('json', json.loads), ('pkl', pickle.loads)):
        out = tmp_path / f'out.{suffix}'
        code, lines, _ = call(
            *(BICUBIC, '--set', f'mine={root}', '--out', out),
            *('--show-dir', shown, '--save', 'png', '--frames', '9'),
        )
        assert code == 0
        assert read(out.read_bytes()) == results(tmp_path / 'work')
        assert f'results: {out}' in lines
        assert f'pictures: {shown} (lq | pred | gt; the first, ' in lines
    assert len(list(shown.glob('mine/[ab]/*.png'))) == 6
    picture = cv2.imread(str(shown / 'mine' / 'b' / '00000002.png'))
    for place, part in ((1, 'work/restored/mine/b/00000002.png'), (2, None)):
        path = tmp_path / part if part else root / 'gt' / 'b' / '2.png'
        expected = cv2.imread(str(path))
        found = picture[:, 48 * place : 48 * (place + 1)]
        assert np.array_equal(found, expected)


def test_frames_beyond_the_clips(call, tmp_path, capfd):
    root = write_folder(tmp_path / 'clips', 'ab', frames=2)
    words = ['test', BICUBIC, '--set', f'mine={root}', '--frames', '3']
    words += ['--metrics', 'PSNR', '--work-dir', tmp_path / 'w']
    assert main([str(word) for word in words]) == 0
    assert (
        'note: 2 of 2 clips of mine have fewer than 3 frames (--frames), the '
        'shortest 2' in capfd.readouterr().err
    )


def test_no_metric_is_left(call, tmp_path):
    root = write_folder(tmp_path / 'clips', 'a')
    code, _, errors = call(
        *(BICUBIC, '--set', f'mine={root}'), metrics=('EWarp:weights=none',)
    )
    assert code == 2
    assert [line.split(':')[:3] for line in errors] == [
        ['error', ' there is no metric', ' EWarp']
    ]
    assert not (tmp_path / 'work').exists()


def test_a_clip_that_cannot_be_read(call, tmp_path):
    root = write_folder(tmp_path / 'clips', 'ab')
    (root / 'gt' / 'a' / '0.png').write_bytes(b'x')
    code, out, errors = call(BICUBIC, '--set', f'mine={root}')
    assert code == 1 and 'mine (1 clips): PSNR' in out
    assert len(errors) == 1 and errors[0].startswith('problem: mine/a: ')


@pytest.mark.parametrize(
    ('arguments', 'line'),
    [
        (['--sets', 'UDM10'], r'set UDM10: .*data/test_sets/UDM10'),
        (['--sets', 'Vid4'], "there is no set 'Vid4', only UDM10"),
        (['--set', 'x'], '--set takes NAME=FOLDER'),
        (['none.pth'], "there is no checkpoint 'none.pth'"),
        (['--device', 'tpu'], "`device` 'tpu' cannot be used"),
        (['--set', 'mine=x'], '--set names mine twice'),
        (['--sets', 'UDM10'], '--set mine=FOLDER is not used'),
        (['--ema'], "checkpoint of a training, CHECKPOINT is 'default'"),
        (['none', '--ema'], "checkpoint of a training, CHECKPOINT is 'none'"),
        (['none', '--weights', 'x'], "not used, because CHECKPOINT is 'none'"),
        (['--dtype', 'fp16'], '--dtype is not used: Bicubic has no weights'),
        (['--weights-dir', 'x'], '--weights-dir must be a folder, got x'),
        (['--show-dir', str(BICUBIC)], '--show-dir must be a folder, got'),
        (['--out', 'x.txt'], '--out must be a file .json, .*, got x.txt'),
        (['--out', 'x'], '--out must be a file .json, .*, got x'),
    ],
)
def test_wrong_use(call, tmp_path, arguments, line):
    if 'data/test_sets' not in line and "'Vid4'" not in line:
        root = write_folder(tmp_path / 'clips', 'a')
        arguments = [*arguments, '--set', f'mine={root}']
    code, _, errors = call(BICUBIC, *arguments)
    assert code == 2 and len(errors) == 1
    assert re.search(line, errors[0])
    assert not (tmp_path / 'work').exists()


def test_what_does_not_restore(call, tmp_path):
    root = write_folder(tmp_path / 'clips', 'a')
    config = tmp_path / 'layer.py'
    lines = [f'_base_ = {str(BICUBIC)!r}', 'model = dict(']
    lines += ['    _delete_=True,', "    type='I2VGenSchedule',", ')']
    config.write_text('\n'.join(lines))
    code, _, errors = call(config, '--set', f'mine={root}')
    assert code == 2 and errors == ['error: I2VGenSchedule does not restore']


def test_other_rules_in_a_used_folder(call, tmp_path):
    root = write_folder(tmp_path / 'clips', 'a')
    assert call(BICUBIC, '--set', f'mine={root}')[0] == 0
    for change in (['--frames', '1'], ['--save', 'png']):
        code, _, errors = call(BICUBIC, '--set', f'mine={root}', *change)
        assert code == 2 and len(errors) == 1
        assert 'holds a test with another protocol' in errors[0]


def test_names_of_methods(monkeypatch):
    monkeypatch.chdir(ROOT)

    def name(config, given=None, fidelity=None):
        words = {'config': config, 'name': given, 'fidelity': fidelity}
        return method_name(type('Arguments', (), words))

    assert name('configs/star/tiny.py') == name('tiny') == 'star_tiny'
    assert (
        name('configs/interpolation/bicubic.py')
        == name('bicubic')
        == 'bicubic'
    )
    assert name('tiny', 'mine') == name('tiny', 'mine', 1) == 'mine'
    assert name('bicubic', None, 0.5) == 'bicubic_fidelity_0.5'
