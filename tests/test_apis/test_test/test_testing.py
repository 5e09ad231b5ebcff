import logging
import os
import signal
from dataclasses import replace
from multiprocessing import get_context

import pytest
import torch
from mmengine.config import Config

import tests.test_apis.folders as folders
from star.apis.inference.build import load_config
from star.apis.test.method import load_method
from star.apis.test.metrics import build_metrics
from star.apis.test.pending import unfinished
from star.apis.test.protocol import describe_method, describe_protocol
from star.apis.test.recording import ClipRecorder
from star.apis.test.sets import (
    JoinedSets,
    build_sets,
    choose_sets,
    describe_set,
)
from star.apis.test.testing import (
    TestRun,
    check_testing,
    run_test,
)
from star.evaluation.functional.shift import measure_shift
from star.utils.files import read_json, write_json
from star.utils.paths import config_path

CPU = torch.device('cpu')


@pytest.fixture
def places(tmp_path):
    """Set A with ground truth, B without."""
    return {
        'A': str(folders.write_folder(tmp_path / 'A', 'abc')),
        'B': str(folders.write_folder(tmp_path / 'B', 'ab', gt=False)),
    }


def plan(work_dir, places, metrics=('PSNR',), num_frames=None, **model):
    """Put a run together as tools/test.py does."""
    config = load_config(config_path('interpolation/bicubic.py'))
    if model:
        config.model = {'type': 'Repeater', **model}
    method = load_method(config)
    configs = choose_sets(config, None, places, num_frames)
    sets = build_sets(configs)
    built = build_metrics([{'type': name} for name in metrics], 'cpu')
    protocol = describe_protocol(
        [metric.describe() for metric in built.built],
        {name: describe_set(configs[name], sets[name]) for name in sets},
        *(0, 'restored in memory', CPU),
    )
    facts = {
        'method': describe_method('m', config, method),
        'protocol': protocol,
    }
    return TestRun(work_dir, sets, method.model, built, facts)


def run(work_dir, places, save=None, shift=None, **options):
    planned = plan(work_dir, places, **options)
    return run_test(replace(planned, save=save, shift=shift))


def scores(results):
    return {
        (clip['dataset'], clip['name']): clip['scores']
        for clip in results['clips']
    }


def test_scores_what_has_ground_truth(tmp_path, places):
    results = run(tmp_path / 'w', places, metrics=('PSNR', 'SSIM'))
    found = scores(results)
    for name in 'abc':
        expected = folders.psnr(tmp_path / 'A', name)
        assert found['A', name]['PSNR'] == pytest.approx(expected, abs=0.3)
        assert 0 < found['A', name]['SSIM'] < 1
    assert found['B', 'a'] == {'PSNR': None, 'SSIM': None}
    mean = sum(found['A', name]['PSNR'] for name in 'abc') / 3
    assert results['sets']['A']['scores']['PSNR'] == pytest.approx(mean)
    assert results['sets']['B']['scores'] == {'PSNR': None, 'SSIM': None}
    assert results['problems'] == [
        f'{metric} of B: it needs ground truth, a folder gt/ (2 of 2 clips)'
        for metric in ('PSNR', 'SSIM')
    ]
    assert read_json(tmp_path / 'w' / 'results.json') == results


def test_what_a_clip_leaves(tmp_path, places):
    results = run(tmp_path / 'w', places, num_frames=1, shift=measure_shift)
    clip = results['clips'][0]
    assert (clip['lq_size'], clip['size']) == ([8, 12], [32, 48])
    assert (clip['num_frames'], clip['fps']) == (1, 25.0)
    assert 0 < clip['seconds'] < 60 and clip['peak_memory'] > 50 << 20
    assert clip['parts']['PSNR']['frames'] == [0]
    assert clip['parts']['PSNR']['values'] == [clip['scores']['PSNR']]
    assert clip['shift'].keys() == {'rows', 'columns', 'gain'}
    lq, gt = (f'{tmp_path}/A/{part}/a' for part in ('lq', 'gt'))
    assert clip['files'] == {'lq': lq, 'gt': gt}
    assert results['clips'][-1]['shift'] is None
    assert not (tmp_path / 'w' / 'restored').exists()


def test_finished_clips_are_not_repeated(tmp_path, places):
    first = run(tmp_path / 'w', places)
    path = tmp_path / 'w' / 'clips' / 'A' / 'b.json'
    record = read_json(path)
    write_json(path, {**record, 'scores': {'PSNR': 99.0}})
    (tmp_path / 'w' / 'clips' / 'A' / 'c.json').unlink()
    again = scores(run(tmp_path / 'w', places))
    assert again.pop(('A', 'b')) == {'PSNR': 99.0}
    expected = scores(first)
    del expected['A', 'b']
    assert again == expected


def test_ranks_share_the_clips_out(tmp_path, places):
    clips = JoinedSets(plan(tmp_path / 'w', places).sets)
    recorder = ClipRecorder(tmp_path / 'w', [])
    assert list(unfinished(clips, recorder)) == [0, 1, 2, 3, 4]
    for name, content in (('b', {'files': {}}), ('c', {'failed': True})):
        write_json(tmp_path / 'w' / 'clips' / 'A' / f'{name}.json', content)
    assert list(unfinished(clips, recorder, 0, 2)) == [0, 2, 4]
    assert list(unfinished(clips, recorder, 1, 2)) == [3]


def test_a_clip_that_fails_is_named_and_tried_again(tmp_path, places):
    broken = tmp_path / 'A' / 'gt' / 'b' / '1.png'
    whole = broken.read_bytes()
    broken.write_bytes(b'x' * len(whole))
    results = run(tmp_path / 'w', places)
    assert len(results['clips']) == 4
    problem = results['problems'][0]
    assert problem.startswith('A/b: ') and '1.png' in problem
    broken.write_bytes(whole)
    again = run(tmp_path / 'w', places)
    assert len(again['clips']) == 5
    assert not any(line.startswith('A/b') for line in again['problems'])
    assert again['clips'][0] == results['clips'][0]


def test_a_clip_that_cannot_be_restored(tmp_path, places):
    results = run(tmp_path / 'w', places, fail_below=256)
    assert results['clips'] == []
    assert results['problems'][0] == 'A/a: too dark by far'
    assert len(results['problems']) == 5
    assert results['sets']['A']['scores'] == {'PSNR': None}


def test_a_defect_ends_the_test(tmp_path, places):
    with pytest.raises(KeyError, match='defect'):
        run(tmp_path / 'w', places, defect=True)


@pytest.mark.parametrize('kind', ['png', 'mkv'])
def test_saved_clips_score_the_same(tmp_path, places, kind):
    first = run(tmp_path / 'w', places, save=kind)
    pred = first['clips'][0]['files']['pred']
    expected = {'png': 'restored/A/a', 'mkv': 'restored/A/a.mkv'}
    assert pred == expected[kind]
    saved = load_config(config_path('saved_results/saved_results.py'))
    saved.model.folder = str(tmp_path / 'w' / 'restored')
    planned = plan(tmp_path / 'again', places)
    method = load_method(saved)
    model = method.model
    facts = {
        **planned.facts,
        'method': describe_method('saved', saved, method),
    }
    planned = replace(planned, restorer=model, saved=model, facts=facts)
    second = run_test(planned)
    assert scores(second) == scores(first)
    clip = second['clips'][0]
    assert clip['seconds'] is None and clip['peak_memory'] is None
    assert clip['files']['pred'] == str(tmp_path / 'w' / pred)


def test_leftovers_of_killed_processes_go(tmp_path, places):
    run(tmp_path / 'w', places)
    parts = [
        tmp_path / 'w' / 'clips' / 'A' / '.a.json.part-1',
        tmp_path / 'w' / 'restored' / 'A' / '.a.part-1-0' / '00000000.png',
        tmp_path / 'w' / 'restored' / 'A' / '.a.part-1-0.mkv',
    ]
    for path in parts:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('x')
    run(tmp_path / 'w', places)
    assert not any(path.exists() for path in parts)
    assert not parts[1].parent.exists()


def run_until(step, *args, **options):
    """Run a test and be killed before the change of a file of that number."""
    count = 0

    def dying(change):
        def call(*arguments, **names):
            nonlocal count
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)
            count += 1
            return change(*arguments, **names)

        return call

    for name in ('fsync', 'rename', 'replace'):
        setattr(os, name, dying(getattr(os, name)))
    run(*args, **options)


def test_killed_before_each_change_of_a_file(tmp_path, places):
    """Changes of images, of their folder, and of a clip's record."""
    options = {'places': places, 'save': 'png', 'shift': measure_shift}
    expected = run(tmp_path / 'whole', **options)
    work_dir, written, reached = tmp_path / 'w', {}, []
    for step in range(20):
        process = get_context('fork').Process(
            target=run_until, args=(step, work_dir), kwargs=options
        )
        process.start()
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL)
        if process.exitcode == 0:  # fewer changes were left
            break
        records = work_dir.glob('clips/*/*.json')
        times = {path: path.stat().st_mtime_ns for path in records}
        assert written.items() <= times.items()  # none is done again
        assert all('scores' in read_json(path) for path in times)
        written = times
        reached.append(len(written))
    assert len(reached) > 9
    assert reached[0] == 0
    assert any(0 < number < reached[-1] for number in reached)
    results = run(work_dir, **options)
    for clip in [*results['clips'], *expected['clips']]:
        del clip['seconds'], clip['peak_memory']
    assert results['clips'] == expected['clips']
    for name, found in results['sets'].items():
        assert found['scores'] == expected['sets'][name]['scores']
    for clip in results['clips']:
        frames = list((work_dir / clip['files']['pred']).iterdir())
        assert len(frames) == clip['num_frames']
    assert not list(work_dir.glob('*/*/.*'))


def test_another_tests_folder_is_refused(tmp_path, places):
    run(tmp_path / 'w', places)
    with pytest.raises(ValueError, match='holds a test with another protocol'):
        run(tmp_path / 'w', places, num_frames=1)
    frame = tmp_path / 'A' / 'gt' / 'b' / '1.png'
    frame.write_bytes(frame.read_bytes() + b'x')
    with pytest.raises(ValueError, match=r'sets\.A\.files_sha256'):
        run(tmp_path / 'w', places)
    (tmp_path / 'w' / 'run.json').unlink()
    with pytest.raises(ValueError, match='records of an unknown protocol'):
        run(tmp_path / 'w', places)


def test_the_next_clip_is_read_in_another_process(tmp_path, places):
    expected = run(tmp_path / 'w', places)
    planned = plan(tmp_path / 'again', places)
    again = run_test(replace(planned, num_workers=1))
    assert scores(again) == scores(expected)


def test_a_clip_has_its_own_prompt(tmp_path, places):
    class Reader(folders.Repeater):
        """Notes the prompts it restores with."""

        options_used = frozenset({'prompt', 'scale'})

        def restore_stream(self, frames, options=None, events=None):
            prompts.append(options.prompt)
            return super().restore_stream(frames, options, events)

    prompts = []
    for name, text in (('a', 'a cat'), ('c', 'a house')):
        path = tmp_path / 'A' / 'text' / f'{name}.txt'
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    places.pop('B')
    (tmp_path / 'A' / 'text' / 'b.txt').write_text('')
    planned = plan(tmp_path / 'w', places)
    run_test(replace(planned, restorer=Reader()))
    assert prompts == ['a cat', '', 'a house']


def test_config_without_tests():
    config = Config({'model': {}})
    line = 'lacks test_dataloader, test_evaluator'
    with pytest.raises(ValueError, match=line):
        check_testing(config)


def test_each_clip_is_a_line_of_the_log(tmp_path, places, caplog):
    with caplog.at_level(logging.INFO, 'star.test'):
        run(tmp_path / 'logged', {'B': places['B']})
    assert 's/frame' in caplog.text
    lines = (tmp_path / 'logged' / 'test.log').read_text().splitlines()
    assert ['[1/2] B/a: ' in lines[0], '[2/2] B/b: ' in lines[1]] == [1, 1]
