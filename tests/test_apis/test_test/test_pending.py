import shutil
from dataclasses import replace

import cv2
import pytest

import tests.test_apis.folders as folders
from star.apis.test.testing import run_test
from star.utils.files import read_json
from tests.test_apis.test_test.test_testing import plan, scores


@pytest.fixture
def places(tmp_path):
    """Two clips with ground truth and two without."""
    return {
        'A': str(folders.write_folder(tmp_path / 'A', 'ab')),
        'B': str(folders.write_folder(tmp_path / 'B', 'cd', gt=False)),
    }


def run(work_dir, places, *metrics, restores=True, **options):
    """Test; without `restores` a clip that is restored ends the test."""
    planned = plan(work_dir, places, metrics)
    if not restores:
        planned = replace(planned, restorer=folders.Repeater(defect=True))
    return run_test(replace(planned, **options))


def without_cost(results):
    """Return clips without what depends on the machine or on saving."""
    names = ('seconds', 'peak_memory', 'files', 'pred_sha256')
    return [
        {k: v for k, v in clip.items() if k not in names}
        for clip in results['clips']
    ]


@pytest.mark.parametrize('kind', ['png', 'mkv'])
def test_metrics_are_added_from_saved_clips(tmp_path, places, kind):
    first = run(tmp_path / 'w', places, 'Brightness', save=kind)
    both = ('Brightness', 'SSIM')
    added = run(tmp_path / 'w', places, *both, restores=False)
    fresh = run(tmp_path / 'fresh', places, *both)
    assert without_cost(added) == without_cost(fresh)
    assert added['problems'] == fresh['problems'] == []
    for name in 'AB':
        of_fresh = fresh['sets'][name]
        for key in 'clips', 'frames', 'scores', 'scored':
            assert added['sets'][name][key] == of_fresh[key]
    for key in 'fingerprint', 'metrics', 'sets':
        assert added['protocol'][key] == fresh['protocol'][key]
    kinds = {'png': 'png frames', 'mkv': 'ffv1 mkv'}
    source = f'restored in memory, {kinds[kind]}'
    assert added['protocol']['input'] == source
    times = [clip['seconds'] for clip in first['clips']]
    assert [clip['seconds'] for clip in added['clips']] == times
    assert read_json(tmp_path / 'w' / 'results.json') == added
    # the first command again, and then only what is new
    again = run(tmp_path / 'w', places, 'Brightness', restores=False)
    assert scores(again) == scores(added)
    more = run(tmp_path / 'w', places, 'PSNR', restores=False)
    names = [each['name'] for each in more['protocol']['metrics']]
    assert names == [*both, 'PSNR']
    assert more['sets']['A']['scored'] == {
        'Brightness': 2,
        'SSIM': 2,
        'PSNR': 2,
    }


def test_metrics_cannot_be_added_without_saved_clips(tmp_path, places):
    work = tmp_path / 'w'
    run(work, places, 'Brightness')
    before = read_json(work / 'run.json')
    line = r'without SSIM, .* 4 are not saved, such as A/a: .*--save png'
    with pytest.raises(ValueError, match=line):
        run(work, places, 'Brightness', 'SSIM')
    with pytest.raises(ValueError, match='holds a test without pictures'):
        run(work, places, 'Brightness', show_dir=tmp_path / 'shown')
    assert read_json(work / 'run.json') == before
    run(work, places, 'Brightness')  # as before


def test_a_saved_clip_that_is_gone(tmp_path, places):
    run(tmp_path / 'w', places, 'Brightness', save='png')
    shutil.rmtree(tmp_path / 'w' / 'restored' / 'B' / 'd')
    with pytest.raises(ValueError, match='1 are not saved, such as B/d'):
        run(tmp_path / 'w', places, 'Brightness', 'SSIM')


def test_a_saved_clip_that_was_changed(tmp_path, places):
    run(tmp_path / 'w', places, 'Brightness', save='png')
    path = tmp_path / 'w' / 'restored' / 'A' / 'b' / '00000001.png'
    image = cv2.imread(str(path))
    image[0, 0, 0] ^= 1
    cv2.imwrite(str(path), image)
    results = run(tmp_path / 'w', places, 'Brightness', 'SSIM')
    (problem,) = results['problems']
    assert problem.startswith('SSIM of A/b: ')
    assert problem.endswith(
        'restored/A/b is no longer the clip that was restored'
    )
    assert results['sets']['A']['scored'] == {'Brightness': 2, 'SSIM': 1}
    image[0, 0, 0] ^= 1
    cv2.imwrite(str(path), image)
    results = run(tmp_path / 'w', places, 'Brightness', 'SSIM')
    assert results['problems'] == []
    assert results['sets']['A']['scored'] == {'Brightness': 2, 'SSIM': 2}


def test_an_unfinished_test_takes_further_metrics(tmp_path, places):
    work = tmp_path / 'w'
    run(work, places, 'Brightness', save='png')
    (work / 'clips' / 'A' / 'b.json').unlink()
    both = ('Brightness', 'SSIM')
    added = run(work, places, *both)
    fresh = run(tmp_path / 'fresh', places, *both)
    assert without_cost(added) == without_cost(fresh)


def test_pictures_of_saved_clips(tmp_path, places):
    shown = tmp_path / 'shown'
    run(tmp_path / 'w', places, 'Brightness', save='png')
    options = {'restores': False, 'show_dir': shown}
    run(tmp_path / 'w', places, 'Brightness', **options)
    found = sorted(path.relative_to(shown) for path in shown.rglob('*.png'))
    assert [str(path.parent) for path in found[::2]] == [
        *('A/a', 'A/b', 'B/c', 'B/d')
    ]
    picture = cv2.imread(str(shown / 'A' / 'a' / '00000001.png'))
    saved = tmp_path / 'w' / 'restored' / 'A' / 'a' / '00000001.png'
    assert (picture[:, 48:96] == cv2.imread(str(saved))).all()
    time = (shown / found[0]).stat().st_mtime_ns
    run(tmp_path / 'w', places, 'Brightness', **options)
    assert (shown / found[0]).stat().st_mtime_ns == time
