import math
from dataclasses import dataclass

import pytest
import torch

from star.apis.test.recording import ClipRecorder, describe_record
from star.structures import Measurement, VideoSample
from star.utils.files import read_json


@dataclass
class Brightness:
    """Mean of the restored clip, or the error it is given."""

    name: str = 'Brightness'
    needs_gt: bool = False
    datasets: list | None = None
    error: Exception | None = None

    def measure(self, pred, gt):
        if self.error is not None:
            raise self.error
        means = pred.double().mean((1, 2, 3)).tolist()
        return Measurement(
            sum(means) / len(means), means, [0, 1], {'least': 3.0}
        )


@dataclass
class Moved:
    rows: float
    columns: float
    gain: float


def sample(name='a', **values):
    clip = torch.stack([torch.full((3, 8, 12), v) for v in (10, 30)])
    values = {'pred': clip.to(torch.uint8), 'fps': 24.0, **values}
    return VideoSample(dataset='A', name=name, **values)


def record(tmp_path, item, *metrics, **options):
    """Record a clip of two frames; read what was written."""
    recorder = ClipRecorder(tmp_path, metrics, **options)
    found = recorder.record(torch.zeros(2, 3, 2, 3, dtype=torch.uint8), item)
    saved = read_json(tmp_path / 'clips' / 'A' / f'{item.name}.json')
    assert list(saved) == list(found)
    return saved


def test_a_record_has_all(tmp_path):
    item = sample(seconds=1.5, peak_memory=7, files={'lq': '/x/a'})
    assert record(tmp_path, item, Brightness()) == {
        'dataset': 'A',
        'name': 'a',
        'num_frames': 2,
        'fps': 24.0,
        'lq_size': [2, 3],
        'size': [8, 12],
        'seconds': 1.5,
        'peak_memory': 7,
        'files': {'lq': '/x/a'},
        'scores': {'Brightness': 20.0},
        'parts': {'Brightness': {'frames': [0, 1], 'values': [10.0, 30.0]}},
        'extras': {'Brightness': {'least': 3.0}},
        'left_out': [],
        'shift': None,
        'problems': [],
    }


def test_paths_hold_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = record(tmp_path, sample(files={'lq': 'x'}))
    assert found['files'] == {'lq': str(tmp_path / 'x')}


def test_metrics_that_do_not_apply(tmp_path):
    paired = Brightness('Paired', needs_gt=True)
    other = Brightness('Other', datasets=['B'])
    found = record(tmp_path, sample(), paired, other)
    assert found['scores'] == {'Paired': None}
    assert found['left_out'] == ['Other']
    assert found['parts'] == {} and found['problems'] == []
    gt = torch.zeros(2, 3, 8, 12, dtype=torch.uint8)
    found = record(tmp_path, sample(gt=gt), paired, other)
    assert found['scores'] == {'Paired': 20.0}


def test_a_score_that_is_no_number(tmp_path):
    class Undefined(Brightness):
        def measure(self, pred, gt):
            return Measurement(math.nan, [math.nan], [0])

    found = record(tmp_path, sample(), Undefined())
    assert found['scores'] == {'Brightness': None}
    assert found['problems'] == [
        'Brightness of A/a: the score is not a number'
    ]


def amended(tmp_path, item, *metrics, **options):
    """Record a clip with a metric that fails, then score it again."""
    bad = Brightness('Bad', error=ValueError('no'))
    before = record(tmp_path, item, bad, Brightness('First'))
    recorder = ClipRecorder(tmp_path, metrics, **options)
    lq = torch.zeros(2, 3, 2, 3, dtype=torch.uint8)
    after = recorder.amend(before, lq, item)
    assert read_json(tmp_path / 'clips' / 'A' / f'{item.name}.json') == after
    return before, after


def test_what_a_record_lacks_is_added(tmp_path):
    metrics = [Brightness(name) for name in ('Bad', 'First', 'New')]
    metrics[1].error = KeyError('not computed again')
    other = Brightness('Other', datasets=['B'])
    before, after = amended(tmp_path, sample(), *metrics, other)
    assert before['scores'] == {'Bad': None, 'First': 20.0}
    assert after['scores'] == {'Bad': 20.0, 'First': 20.0, 'New': 20.0}
    assert after['parts']['New'] == before['parts']['First']
    assert after['problems'] == [] and after['left_out'] == ['Other']
    recorder = ClipRecorder(tmp_path, [*metrics, other])
    assert recorder.find_missing(after) == []
    kept = {
        k: v for k, v in after.items() if k in ('seconds', 'size', 'files')
    }
    assert kept.items() <= before.items()


def test_a_clip_that_cannot_be_scored_again(tmp_path):
    before = record(tmp_path, sample(), Brightness('First'))
    recorder = ClipRecorder(tmp_path, [Brightness('New')])
    lost = sample(pred=None, problem='it is gone')
    after = recorder.amend(before, torch.zeros(2, 3, 2, 3), lost)
    problems = ['New of A/a: it is gone']
    assert after == {**before, 'problems': problems}
    assert recorder.find_missing(after) == recorder.metrics


def test_no_ground_truth_is_no_missing_score(tmp_path):
    paired = Brightness('Paired', needs_gt=True)
    found = record(tmp_path, sample(), paired)
    assert ClipRecorder(tmp_path, [paired]).find_missing(found) == []


@pytest.mark.parametrize(
    'error', [ValueError('too\nsmall'), OSError('disk'), RuntimeError('cuda')]
)
def test_a_metric_that_fails_does_not_stop_the_others(tmp_path, error):
    metrics = [Brightness('Bad', error=error), Brightness()]
    found = record(tmp_path, sample(), *metrics)
    assert found['scores'] == {'Bad': None, 'Brightness': 20.0}
    (problem,) = found['problems']
    assert problem.startswith('Bad of A/a: ')
    assert len(problem.splitlines()) == 1


def test_a_defect_is_not_swallowed(tmp_path):
    with pytest.raises(KeyError):
        record(tmp_path, sample(), Brightness(error=KeyError('x')))


def test_a_clip_that_failed(tmp_path):
    item = sample(pred=None, problem='no file')
    expected = {
        **{'dataset': 'A', 'name': 'a', 'failed': True},
        'problems': ['A/a: no file'],
    }
    assert record(tmp_path, item, Brightness()) == expected
    item = sample('b', pred=torch.zeros(1, 3, 8, 12, dtype=torch.uint8))
    found = record(tmp_path, item, Brightness())
    assert found['problems'] == ['A/b: 1 frames were restored from 2']


def test_displacement(tmp_path):
    gt = torch.zeros(2, 3, 8, 12, dtype=torch.uint8)
    shift = {'shift': lambda pred, gt: Moved(0.5, -1.0, 0.25)}
    found = record(tmp_path, sample(gt=gt), **shift)
    assert found['shift'] == {'rows': 0.5, 'columns': -1.0, 'gain': 0.25}
    assert record(tmp_path, sample(), **shift)['shift'] is None


def test_infinite_scores_are_kept(tmp_path):
    class Perfect(Brightness):
        def measure(self, pred, gt):
            return Measurement(math.inf, [math.inf], [0])

    found = record(tmp_path, sample(), Perfect())
    assert float(found['scores']['Brightness']) == math.inf


def test_saved_clips(tmp_path):
    found = record(tmp_path, sample(), save='png')
    assert found['files'] == {'pred': 'restored/A/a'}
    assert len(list((tmp_path / 'restored/A/a').iterdir())) == 2
    found = record(tmp_path, sample(), save='mkv')
    assert (tmp_path / found['files']['pred']).suffix == '.mkv'
    with pytest.raises(ValueError, match='`save` must be one of png, mkv'):
        ClipRecorder(tmp_path, [], save='mp4')


def test_a_line_for_each_clip(tmp_path):
    found = record(tmp_path, sample(seconds=3.0), Brightness())
    assert describe_record(found) == 'A/a: Brightness 20, 1.5 s/frame'
    assert describe_record(record(tmp_path, sample())) == 'A/a: not scored'
    item = sample(pred=None, problem='no file')
    assert describe_record(record(tmp_path, item)) == 'A/a: failed'
