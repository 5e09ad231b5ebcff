import numpy as np
import pytest

from star.registry import DATASETS


def clips(folder, count, seed=0):
    """A config of `count` clips of four frames, named after the folder."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        path = folder / f'{folder.name}{number}.npy'
        np.save(path, np.zeros((4, 8, 8, 3), np.uint8))
    return {
        'type': 'ClipArrays',
        'data_root': str(folder),
        'num_frames': 2,
        'seed': seed,
        'pipeline': [
            {'type': 'PlainDegradation', 'scale': 4},
            {'type': 'PackVideoInputs'},
        ],
    }


def names(dataset, draws):
    return [dataset[draw]['data_samples'].name for draw in draws]


def test_in_turn_whatever_their_lengths(tmp_path):
    configs = [clips(tmp_path / 'a', 1), clips(tmp_path / 'b', 5)]
    alone = [DATASETS.build(config) for config in configs]
    both = DATASETS.build({'type': 'Alternating', 'datasets': configs})
    assert len(both) == 6
    assert names(both, range(0, 40, 2)) == names(alone[0], range(20))
    assert names(both, range(1, 40, 2)) == names(alone[1], range(20))
    assert names(both, range(1, 10, 2))[0][0] == 'b'


def test_two_of_three_draws(tmp_path):
    configs = [
        clips(tmp_path / 'a', 3),
        clips(tmp_path / 'b', 3),
        clips(tmp_path / 'b', 3, seed=1),
    ]
    found = names(
        DATASETS.build({'type': 'Alternating', 'datasets': configs}),
        range(60),
    )
    assert ''.join(name[0] for name in found) == 'abb' * 20
    assert found[1::3] != found[2::3]


def test_empty():
    with pytest.raises(ValueError, match=r'`datasets` must not be empty'):
        DATASETS.build({'type': 'Alternating', 'datasets': []})
