"""SPMCS, YouHQ40, RealVSR and MVSR4x in small, lists of OpenVid, options."""

import json
from dataclasses import replace

import numpy as np
import pytest

from star.apis.inference.build import load_config
from star.apis.test.sets import build_sets, choose_sets
from star.cli.main import make_parser
from star.cli.options.choices import OPENVID_SETS, REAL_SETS
from star.cli.prepare import test_sets as command_module
from star.datasets.published_sets import PUBLISHED
from star.datasets.test_set_clips import PrepareOptions, degrade_clip
from star.datasets.video_folder import read_clip
from star.utils.paths import config_root
from tests.test_datasets.sets import write_frames
from tests.test_video.clips import pictures, write_clip

FRAMES = 4
SPMCS_NAMES = 'Frame {:03d}.png'


@pytest.fixture
def small(monkeypatch):
    """Shrink all sets to two clips of four small frames."""
    for key, published in PUBLISHED.items():
        size = published.size and (48, 64)
        less = replace(published, num_clips=2, num_frames=FRAMES, size=size)
        monkeypatch.setitem(PUBLISHED, key, less)
    for key, (name, _, _, size) in OPENVID_SETS.items():
        few = (name, 2, FRAMES, size and (40, 32))
        monkeypatch.setitem(OPENVID_SETS, key, few)
    monkeypatch.setattr(command_module, '_LEAST', (48, 64))


@pytest.fixture
def prepare(star, small, tmp_path):
    """Prepare a set of `tmp_path/src` in `tmp_path/dst`."""

    def call(name, *words, src='src', dst='dst'):
        done = star(
            *('prepare', 'test-sets', name, tmp_path / src, tmp_path / dst),
            *words,
        )
        return done

    return call


def write_clips(root, *places, names='{:05d}.png', shrink=1):
    for i, place in enumerate(places):
        frames = pictures(FRAMES, seed=len(place) + i)[:, ::shrink, ::shrink]
        write_frames(root / place, frames, names)


def manifest(root):
    return json.loads((root / 'set.json').read_text())


def sizes(root):
    return {
        (key, tuple(clip[key]['size']))
        for clip in manifest(root)['clips'].values()
        for key in ('gt', 'lq')
        if key in clip
    }


@pytest.mark.parametrize(
    ('name', 'place', 'frame'),
    [
        ('spmcs', '{}/truth', SPMCS_NAMES),
        ('spmcs', 'test_set/{}/truth', SPMCS_NAMES),
        ('spmcs', 'SPMCS/GT/{}', '{:04d}.png'),
        ('spmcs', '{}', '{:04d}.png'),
        ('youhq40', 'YouHQ40-Test/{}', '{:05d}.png'),
        ('youhq40', '{}', '{:05d}.png'),
        ('youhq40', 'YouHQ40/GT/{}', '{:03d}.png'),
    ],
)
def test_synthetic_sets(prepare, tmp_path, name, place, frame):
    """Their inputs are made, also where the owner has bicubic ones."""
    for clip in ('000', '001'):
        write_clips(tmp_path / 'src', place.format(clip), names=frame)
        if place.endswith('truth'):
            other = place.format(clip).replace('truth', 'input4')
            write_clips(tmp_path / 'src', other, names=frame, shrink=4)
    done = prepare(name)
    assert done.code == 0, done.err
    root = tmp_path / 'dst'
    assert sizes(root) == {('gt', (48, 64)), ('lq', (12, 16))}
    made = manifest(root)
    assert made['name'] == PUBLISHED[name].name
    assert made['degradation']['preset'] == 'star'
    gt, _ = read_clip(tmp_path / 'src' / place.format('001'))
    lq, _ = degrade_clip('001', gt, PrepareOptions())
    assert (read_clip(root / 'lq' / '001')[0] == lq).all()


@pytest.mark.parametrize(
    ('name', 'gt', 'lq'),
    [
        ('realvsr', 'GT_test/{}', 'LQ_test/{}'),
        ('realvsr', 'RealVSR/GT/{}', 'RealVSR/LQ/{}'),
        ('mvsr4x', 'tele/{}', 'wide/{}'),
        ('mvsr4x', 'GT/{}', 'LQ/{}'),
    ],
)
def test_real_sets_of_one_size(prepare, tmp_path, name, gt, lq):
    """The inputs are the owner's, and as large as the ground truth."""
    for clip in ('003', '028'):
        write_clips(tmp_path / 'src', gt.format(clip), lq.format(clip))
    done = prepare(name, '--link')
    assert done.code == 0, done.err
    root = tmp_path / 'dst'
    assert manifest(root)['degradation'] is None
    assert sizes(root) == {('gt', (48, 64)), ('lq', (48, 64))}
    for key, place in (('gt', gt), ('lq', lq)):
        source, _ = read_clip(tmp_path / 'src' / place.format('028'))
        assert (read_clip(root / key / '028')[0] == source).all()
    # the set of the configs states its scale
    config = load_config(config_root() / 'interpolation' / 'bicubic.py')
    title = PUBLISHED[name].name
    chosen = choose_sets(config, [title])
    assert chosen[title]['data_root'] == f'data/test_sets/{title}'
    chosen[title]['data_root'] = str(root)
    (dataset,) = build_sets(chosen).values()
    assert dataset.scale == 1
    assert dataset[0]['data_samples'].scale == 1
    assert title not in choose_sets(config)


def test_a_copy_with_inputs(prepare, tmp_path):
    """DOVE's copies have other inputs: they are taken by request only."""
    src = tmp_path / 'src'
    write_clips(src, 'GT/a', 'GT/b')
    for clip in 'ab':
        write_clips(src, f'LQ/{clip}', shrink=4)
    assert prepare('udm10', '--given-lq', '--ffv1').code == 0
    given = read_clip(tmp_path / 'dst' / 'lq' / 'a')[0]
    assert (given == read_clip(src / 'LQ' / 'a')[0]).all()
    made = manifest(tmp_path / 'dst')
    assert made['degradation'] is None
    assert made['source'].endswith('2019), inputs of the copy')
    assert prepare('udm10', dst='made').code == 0
    own = read_clip(tmp_path / 'made' / 'lq' / 'a')[0]
    assert not np.array_equal(own, given)
    error = prepare('udm10', '--given-lq', '--seed', 1, dst='x').error
    assert error == (
        '--seed: the inputs are there and are not made; leave it out'
    )


def test_pairs_that_are_incomplete(prepare, tmp_path):
    src = tmp_path / 'src'
    write_clips(src, 'GT_test/a', 'GT_test/b', 'LQ_test/a', 'LQ_test/c')
    error = prepare('realvsr').error
    assert 'lq/ lacks b' in error and 'gt/ lacks c' in error
    (src / 'LQ_test' / 'c').rename(src / 'LQ_test' / 'b')
    (src / 'GT_test' / 'b' / '00002.png').unlink()
    (src / 'LQ_test' / 'b' / '00003.png').unlink()
    error = prepare('realvsr').error
    assert 'RealVSR has 4 frames in each clip, b has 3; --as-is' in error
    error = prepare('realvsr', '--as-is').error
    assert f'{src}/GT_test/b lacks 00002.png' in error
    assert f'{src}/LQ_test/b lacks 00003.png' in error
    assert not (tmp_path / 'dst').exists()
    assert prepare('realvsr', '--as-is', '--frames', 2).code == 0
    error = prepare('mvsr4x', dst='other').error
    assert 'there is no clip of MVSR4x; looked for GT/*, ' in error


@pytest.mark.parametrize('name', ['videolq', 'folder mine', 'openvid30'])
def test_a_gap_in_a_set_of_one_kind(star, small, tmp_path, name):
    write_clips(tmp_path / 'src', 'a', 'b')
    (tmp_path / 'src' / 'b' / '00001.png').unlink()
    words = *name.split(), tmp_path / 'src', tmp_path / 'dst'
    more = [] if name == 'folder mine' else ['--as-is']
    error = star('prepare', 'test-sets', *words, *more).error
    assert 'b: frame 00001.png is missing between 00000.png and' in error


@pytest.fixture
def openvid(tmp_path):
    for i, name in enumerate(('x', 'part/y', 'part/z')):
        path = tmp_path / 'src' / f'{name}.mp4'
        path.parent.mkdir(parents=True, exist_ok=True)
        write_clip(path, pictures(FRAMES + 1, seed=i))
    return tmp_path


@pytest.mark.parametrize('name', ['openvid30', 'openvid10'])
@pytest.mark.parametrize(
    'text',
    [
        'x.mp4\ny.mp4\n',
        'x\ny',
        '\r\nx.mp4\r\n\r\ny.mp4  \r\n',
        '\ufeffx.mp4\npart/y.mp4\n',
        'data/openvid/video/x.mp4\npart/y\n',
    ],
)
def test_lists_of_openvid(prepare, openvid, name, text):
    listing = openvid / 'list.txt'
    listing.write_text(text, encoding='utf-8', newline='')
    assert prepare(name, '--list', listing).code == 0
    made = manifest(openvid / 'dst')
    assert set(made['clips']) == {'x', 'y'}
    assert {clip['frames'] for clip in made['clips'].values()} == {FRAMES}
    assert made['source'].endswith('the clips by: a list of names')


@pytest.mark.parametrize(
    ('text', 'line'),
    [
        ('x\nw\n', 'src: lacks w of '),
        ('x\nx.mp4\n', 'list.txt: x.mp4 is there twice; remove one'),
        ('\n', 'list.txt: names no video'),
        ('x\n', 'OpenVid30 has 2 clips, {}/list.txt has 1: choose'),
        ('x\ny\nz', 'OpenVid30 has 2 clips, {}/list.txt has 3: choose'),
    ],
)
def test_wrong_lists(prepare, openvid, text, line):
    listing = openvid / 'list.txt'
    listing.write_text(text)
    error = prepare('openvid30', '--list', listing).error
    assert line.format(openvid) in error


def test_other_counts_of_openvid(prepare, openvid):
    listing = openvid / 'list.txt'
    listing.write_text('x\n')
    words = '--list', listing
    assert prepare('openvid30', *words, '--as-is').code == 0
    assert set(manifest(openvid / 'dst')['clips']) == {'x'}
    error = prepare('openvid30', *words, '--clips', 'y', dst='a').error
    assert 'there is no y, only x' in error
    write_clip(openvid / 'src' / 'part' / 'y.mp4', pictures(FRAMES - 1))
    listing.write_text('x\ny\n')
    error = prepare('openvid30', *words, dst='short').error
    assert 'OpenVid30 has 4 frames in each clip, y has 3; choose' in error
    assert prepare('openvid30', *words, '--frames', 3, dst='b').code == 0
    assert prepare('openvid30', *words, '--as-is', dst='short').code == 0


def test_as_is_exists_wherever_numbers_are_published():
    for name in (*PUBLISHED, *OPENVID_SETS):
        words = [name, 'src', 'dst', '--as-is']
        assert make_parser('prepare test-sets').parse(words).as_is


@pytest.mark.parametrize('option', ['--preset=star', '--scale=4', '--seed=0'])
@pytest.mark.parametrize('name', REAL_SETS)
def test_real_inputs_are_not_made(prepare, tmp_path, name, option):
    write_clips(tmp_path / 'src', 'a', 'b')
    done = prepare(name, option)
    assert done.code == 2 and 'unrecognized arguments' in done.err


@pytest.mark.parametrize('value', ['0', '-1', 'x'])
@pytest.mark.parametrize('option', ['--frames', '--scale', '--seed'])
def test_numbers_out_of_range(prepare, option, value):
    if (option, value) != ('--seed', '0'):
        done = prepare('udm10', option, value)
        assert done.code == 2 and f'argument {option}' in done.err


def test_a_folder_without_clips(star, tmp_path):
    for folder in ('GT/empty', 'LQ'):
        (tmp_path / 'src' / folder).mkdir(parents=True)
    words = 'prepare', 'test-sets', 'folder', 'mine', tmp_path / 'src'
    error = star(*words, tmp_path / 'dst').error
    assert error.startswith(f'{tmp_path}/src: there is no clip; it must hold')


def test_options_that_a_folder_with_inputs_does_not_need(star, tmp_path):
    write_clips(tmp_path / 'src', 'a')
    words = 'prepare', 'test-sets', 'folder', 'mine', tmp_path / 'src'
    for option in ('--preset=light', '--scale=2', '--seed=1'):
        error = star(*words, tmp_path / 'dst', '--real', option).error
        assert error.startswith(f'{option.split("=")[0]}: the inputs are')
