"""`star test` on pairs of frames: complete, by name, at the set's scale."""

import json

import cv2
import numpy as np
import pytest

from tests.paths import ROOT
from tests.test_datasets.sets import write_frames, write_set
from tests.test_video.clips import pictures

BICUBIC = ROOT / 'configs' / 'interpolation' / 'bicubic.py'
SAVED = ROOT / 'configs' / 'saved_results' / 'saved_results.py'
COMPACT = ROOT / 'configs' / 'real_esrgan' / 'realesr_animevideov3.py'


@pytest.fixture
def run(star, tmp_path, monkeypatch):
    """Test a method on a folder as the set `mine`."""
    monkeypatch.chdir(tmp_path)

    def call(config, root, *words):
        return star(
            *('test', config, *words, '--set', f'mine={root}'),
            *('--work-dir', tmp_path / 'work', '--metrics', 'PSNR'),
            *('--cfg-options', 'test_dataloader.num_workers=0'),
        )

    return call


def write_pairs(root, scale=4, names='{}.png', gt_names='{:03d}.png'):
    """Write clip `a` of 5 frames, lq smaller by `scale`."""
    gt = pictures(5)
    write_frames(root / 'gt' / 'a', gt, gt_names)
    write_frames(root / 'lq' / 'a', gt[:, ::scale, ::scale], names)
    return root


def psnr(a, b):
    error = np.square(a.astype('f8') - b).mean((1, 2, 3))
    return float((10 * np.log10(255**2 / error)).mean())


def test_names_of_other_widths_prefixes_and_suffixes(run, tmp_path):
    root = write_pairs(tmp_path / 'set', names='frame_{}.bmp')
    assert run(BICUBIC, root).code == 0


@pytest.mark.parametrize('listed', [False, True])
def test_as_many_frames_but_not_the_same(run, tmp_path, listed):
    """Both lack one: without the names, frames would shift unnoticed."""
    if listed:
        write_set(tmp_path / 'set', 5, ('a',))
        names = '00000002.png', '00000003.png'
    else:
        write_pairs(tmp_path / 'set')
        names = '002.png', '3.png'
    root = tmp_path / 'set'
    (root / 'gt' / 'a' / names[0]).unlink()
    (root / 'lq' / 'a' / names[1]).unlink()
    error = run(BICUBIC, root).error
    assert '2.png' in error and 'gt/a' in error


def test_a_gap_on_both_sides(run, tmp_path):
    root = write_pairs(tmp_path / 'set')
    (root / 'gt' / 'a' / '002.png').unlink()
    (root / 'lq' / 'a' / '2.png').unlink()
    error = run(BICUBIC, root).error
    assert f'{root}/gt/a: frame 002.png is missing between 001.png' in error
    # behind the gap nothing is read
    assert run(BICUBIC, root, '--frames', 2).code == 0


def test_clips_without_counterparts(run, tmp_path):
    root = write_pairs(tmp_path / 'set')
    write_frames(root / 'gt' / 'b', pictures(1))
    write_frames(root / 'lq' / 'c', pictures(1))
    error = run(BICUBIC, root).error
    assert 'gt/ lacks c' in error and 'lq/ lacks b' in error


def test_a_gap_in_saved_results(run, tmp_path):
    root = write_pairs(tmp_path / 'set')
    saved = write_frames(
        tmp_path / 'saved' / 'mine' / 'a', pictures(5), 'out{:02d}.png'
    )
    words = '--results', tmp_path / 'saved'
    assert run(SAVED, root, *words, '--name', 'whole').code == 0
    (saved / 'out02.png').rename(saved / 'out05.png')
    error = run(SAVED, root, *words, '--work-dir', tmp_path / 'gap').error
    assert f'{saved}: frame out02.png is missing between out01.png' in error


@pytest.mark.parametrize('scale', [1, 2])
def test_sets_of_other_scales(run, tmp_path, scale):
    """A method of any scale restores to the size of the ground truth."""
    root = write_pairs(tmp_path / 'set', scale)
    assert run(BICUBIC, root).code == 0
    (clip,) = (tmp_path / 'work' / 'clips' / 'mine').glob('*.json')
    record = json.loads(clip.read_text())
    assert record['size'] == [48, 64]
    assert record['lq_size'] == [48 // scale, 64 // scale]
    if scale == 2:
        lq = pictures(5)[:, ::2, ::2]
        pred = [cv2.resize(frame, (64, 48), interpolation=2) for frame in lq]
        expected = psnr(np.stack(pred), pictures(5))
        assert record['scores']['PSNR'] == pytest.approx(expected, abs=0.3)


def test_a_real_pair_of_one_size(run, tmp_path):
    """At scale 1 bicubic is the identity: the score is that of the input."""
    gt, lq = pictures(5), pictures(5, seed=1)
    root = tmp_path / 'set'
    write_frames(root / 'gt' / 'a', gt)
    write_frames(root / 'lq' / 'a', lq)
    assert run(BICUBIC, root).code == 0
    results = json.loads((tmp_path / 'work' / 'results.json').read_text())
    score = results['sets']['mine']['scores']['PSNR']
    assert score == pytest.approx(psnr(lq, gt), abs=1e-6)


def test_a_method_of_one_scale_is_refused(run, tmp_path):
    root = write_pairs(tmp_path / 'set', scale=1)
    error = run(COMPACT, root, 'none').error
    assert error.startswith('set mine is to be restored at x1: `scale` must')
    assert 'got 1; leave it out' in error
    assert not (tmp_path / 'work' / 'clips').exists()
