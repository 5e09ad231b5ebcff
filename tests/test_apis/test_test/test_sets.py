import pytest
import torch
from mmengine.config import Config

from star.apis.test.sets import (
    JoinedSets,
    build_sets,
    choose_sets,
    describe_set,
)
from tests.test_apis.folders import write_folder


def config_of(*entries):
    dataset = {'type': 'ConcatDataset', 'datasets': list(entries)}
    if len(entries) == 1:
        dataset = entries[0]
    return Config({'test_dataloader': {'dataset': dataset}})


def entry(name, root='nowhere', **options):
    return {
        **{'type': 'VideoFolder', 'name': name, 'data_root': str(root)},
        **options,
    }


def test_all_in_the_configs_order():
    config = config_of(entry('B'), entry('A', seed=3))
    assert choose_sets(config) == {'B': entry('B'), 'A': entry('A', seed=3)}
    chosen = choose_sets(config, ['A', 'B'], num_frames=5)
    assert list(chosen) == ['B', 'A']
    assert chosen['A'] == entry('A', seed=3, num_frames=5)
    assert list(choose_sets(config, ['A'])) == ['A']


def test_one_set_is_named_after_its_folder():
    config = config_of({'type': 'VideoFolder', 'data_root': 'data/vid4'})
    assert choose_sets(config) == {'vid4': entry('vid4', 'data/vid4')}


def test_other_folders():
    config = config_of(entry('A', seed=3), entry('B'))
    folders = {'A': 'x', 'C': 'y'}
    expected = {'A': entry('A', 'x'), 'C': entry('C', 'y')}
    assert choose_sets(config, folders=folders) == expected
    both = choose_sets(config, ['B', 'C'], {'C': 'y'})
    assert both == {'B': entry('B'), 'C': entry('C', 'y')}
    with pytest.raises(ValueError, match='--set A=FOLDER is not used'):
        choose_sets(config, ['B', 'C'], folders)


def test_sets_that_are_tested_by_name_only():
    config = config_of(entry('A'), entry('C', 'own'))
    further = [entry('B', scale=1), entry('C', scale=1)]
    config.further_test_sets = further
    assert list(choose_sets(config)) == ['A', 'C']
    chosen = choose_sets(config, ['C', 'B'])
    assert chosen == {'C': entry('C', 'own'), 'B': further[0]}
    # another folder of the same set has its scale as well
    moved = choose_sets(config, folders={'B': 'x'})
    assert moved == {'B': entry('B', 'x', scale=1)}
    with pytest.raises(ValueError, match="no set 'D', only A, C, B; add"):
        choose_sets(config, ['D'])


@pytest.mark.parametrize(
    ('names', 'folders', 'line'),
    [
        (['D'], {}, "no set 'D', only A, B; add it with --set D=FOLDER"),
        (None, {'../x': 'y'}, "must name a folder, got '../x'"),
        (None, {'.x': 'y'}, "must name a folder, got '.x'"),
    ],
)
def test_wrong_names(names, folders, line):
    config = config_of(entry('A'), entry('B'))
    with pytest.raises(ValueError, match=line):
        choose_sets(config, names, folders)


def test_two_sets_of_one_name():
    with pytest.raises(ValueError, match="two sets 'A'"):
        choose_sets(config_of(entry('A'), entry('A')))


def test_all_faults_are_told_at_once(tmp_path):
    write_folder(tmp_path / 'good', 'ab')
    write_folder(tmp_path / 'bad', 'ab')
    (tmp_path / 'bad' / 'gt' / 'b').rename(tmp_path / 'bad' / 'gt' / 'c')
    sets = {
        'A': entry('A', tmp_path / 'none'),
        'B': entry('B', tmp_path / 'good'),
        'C': entry('C', tmp_path / 'bad'),
    }
    with pytest.raises(ValueError, match='set A') as caught:
        build_sets(sets)
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert str(tmp_path / 'none') in lines[0]
    assert 'set C: ' in lines[1] and 'lacks b' in lines[1]
    assert lines[1].endswith('--sets, other folders with --set')
    assert build_sets({'B': sets['B']})['B'].names == ['a', 'b']


def test_what_decides_the_scores(tmp_path):
    root = write_folder(tmp_path / 'x', 'ab')
    config = entry('A', root, seed=1, num_frames=1)
    facts = describe_set(config, build_sets({'A': config})['A'])
    digest = facts.pop('files_sha256')
    assert facts == {
        'clips': 2,
        'frames': 1,
        'manifest_sha256': None,
        'options': {'type': 'VideoFolder', 'seed': 1},
    }
    moved = root.rename(tmp_path / 'y')  # where it lies does not matter

    def digest_now():
        config = entry('A', moved)
        dataset = build_sets({'A': config})['A']
        return describe_set(config, dataset)['files_sha256']

    assert digest_now() == digest
    (moved / 'lq' / 'a' / '.hidden').write_text('x')
    assert digest_now() == digest
    with open(moved / 'gt' / 'a' / '1.png', 'ab') as file:
        file.write(b'x')
    assert digest_now() != digest


def test_clips_of_several_sets(tmp_path):
    one = write_folder(tmp_path / 'one', 'ab')
    two = write_folder(tmp_path / 'two', 'a', gt=False)
    sets = build_sets({'A': entry('A', one), 'B': entry('B', two)})
    clips = JoinedSets(sets)
    keys = [('A', 'a'), ('A', 'b'), ('B', 'a')]
    assert [clips.key(i) for i in range(len(clips))] == keys
    for index, key in enumerate(keys):
        item = clips[index]
        sample = item['data_samples']
        assert (sample.dataset, sample.name) == key
        assert sample.problem is None
        assert item['inputs'].shape == (2, 3, 8, 12)
    assert sample.gt is None and torch.equal(
        item['inputs'], clips[0]['inputs']
    )


def test_a_clip_that_cannot_be_read_is_an_item(tmp_path):
    root = write_folder(tmp_path / 'x', 'ab')
    (root / 'lq' / 'a' / '1.png').write_bytes(b'no image')
    clips = JoinedSets(build_sets({'A': entry('A', root)}))
    sample = clips[0]['data_samples']
    assert (sample.dataset, sample.name) == ('A', 'a')
    assert '1.png' in sample.problem
    assert len(sample.problem.splitlines()) == 1
    assert clips[1]['data_samples'].problem is None
