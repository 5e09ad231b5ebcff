"""Each script in tools/ is a command of `star`."""

import pytest

from tests.test_tools.tools import load_tool, run_tool

FORWARDED = {
    'restore.py': 'restore',
    'demo.py': 'demo',
    'train.py': 'train',
    'test.py': 'test',
    'benchmark.py': 'benchmark',
    'sweep.py': 'sweep',
    'user_study.py': 'study',
    'model_converters/convert_star.py': 'convert star',
    'model_converters/convert_star_cogvideox.py': 'convert star-cogvideox',
    'model_converters/convert_baseline.py': 'convert baseline',
    'model_converters/convert_lpips.py': 'convert lpips',
    'model_converters/publish_model.py': 'convert publish',
    'dataset_converters/prepare_openvid.py': 'prepare openvid',
    'dataset_converters/prepare_test_sets.py': 'prepare test-sets',
    'dataset_converters/cache_latents.py': 'prepare cache-latents',
    'dataset_converters/teacher_latents.py': 'prepare teacher',
}


@pytest.mark.parametrize(('path', 'name'), FORWARDED.items())
def test_answers_with_the_help_of_its_command(path: str, name: str):
    done = run_tool(path, '--help')
    assert (done.returncode, done.stderr) == (0, '')
    head = f'usage: star {name} ' if name != 'study' else 'study serve'
    assert head in done.stdout


@pytest.mark.parametrize('path', FORWARDED)
def test_hands_on_its_arguments(path: str):
    done = run_tool(path, 'a', '--nonsense')
    assert (done.returncode, done.stdout) == (2, '')
    assert done.stderr.startswith('error: ')
    assert done.stderr.count('\n') == 1


def test_nothing_runs_on_import():
    assert callable(load_tool('train.py').main)
