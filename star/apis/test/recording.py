"""Restoring, scoring and recording of one clip after the other."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from math import isnan
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from star.apis.test.clip_files import KINDS, digest_of, write_clip
from star.apis.test.metrics import is_for
from star.apis.test.pictures import draw_pictures, picture_paths
from star.apis.test.results import record_path
from star.models.contracts import Restorer
from star.structures import Metric, VideoSample
from star.utils.errors import error_line
from star.utils.files import write_json
from star.utils.memory import measure_cost

_PICTURES = 'pictures'  # begins the problems that drawing causes
# what clips, files and packages raise that are not as they should be; any
# other exception is a defect and ends the test
FAILURES = (ImportError, MemoryError, OSError, RuntimeError, ValueError)


class ClipRecorder:
    """Scores clips and writes the record of each, `clips/SET/NAME.json`.

    A record is written in one piece, so a test that was killed continues
    from the records that it finds. A failed clip has a record that says why.
    Where a metric fails for a clip, the record lists it among the `problems`
    and has the scores of the others.

    Args:
        work_dir: the test's folder.
        metrics: with different names.
        save: 'png' or 'mkv' (FFV1) to keep restored clips without loss as
            `restored/SET/NAME`; None keeps none.
        shift: measures the displacement of `pred` against `gt` and returns a
            dataclass; None leaves it out.
        show_dir: folder for pictures of clips; None for none.

    Raises:
        ValueError: unknown `save`.
    """

    def __init__(
        self,
        work_dir: str | Path,
        metrics: Sequence[Metric],
        save: str | None = None,
        shift: Callable[[Tensor, Tensor], Any] | None = None,
        show_dir: str | Path | None = None,
    ) -> None:
        if save is not None and save not in KINDS:
            raise ValueError(
                f'`save` must be one of {", ".join(KINDS)} or None, got '
                f'{save!r}'
            )
        self.work_dir = Path(work_dir)
        self.metrics, self.save, self.shift = list(metrics), save, shift
        self.show_dir = show_dir

    def record(self, lq: Tensor, sample: VideoSample) -> dict[str, Any]:
        """Score a clip and write its record.

        Args:
            lq: low-quality clip, (T, 3, h, w) uint8 RGB.
            sample: with `pred`, or with `problem` where the clip failed.

        Returns:
            The record.
        """
        record: dict[str, Any] = {
            'dataset': sample.dataset,
            'name': sample.name,
        }
        try:
            if sample.problem is None:
                record |= self._describe(lq, sample) | self._score(sample)
                self._show(lq, sample, record)
        except FAILURES as error:
            sample.problem = error_line(error)
        if sample.problem is not None:
            line = f'{sample.dataset}/{sample.name}: {sample.problem}'
            record |= {'failed': True, 'problems': [line]}
        return self._write(record)

    def amend(
        self, record: Mapping[str, Any], lq: Tensor, sample: VideoSample
    ) -> dict[str, Any]:
        """Score what the record of a finished clip lacks, and write it.

        Args:
            record: of the clip.
            lq: low-quality clip, (T, 3, h, w) uint8 RGB.
            sample: with `pred` as it was scored first, or with `problem`
                where that cannot be read.

        Returns:
            The new record. A further problem leaves the scores as they were.
        """
        metrics = self.find_missing(record)
        names = [metric.name for metric in metrics]
        stale = tuple(_prefix(name, sample) for name in [*names, _PICTURES])
        new = {
            **record,
            'problems': [
                p for p in record['problems'] if not p.startswith(stale)
            ],
        }
        try:
            if sample.problem is not None:
                raise ValueError(sample.problem)
            found = self._measure(metrics, sample)
            for key in 'scores', 'parts', 'extras':
                new[key] = {**record[key], **found[key]}
            left_out = self._left_out(sample.dataset)
            new['left_out'] = sorted({*record.get('left_out', ()), *left_out})
            new['problems'] += found['problems']
            self._show(lq, sample, new)
        except FAILURES as error:
            new['problems'] += [
                _problem(name, sample, error) for name in names
            ]
        return self._write(new)

    def find_missing(self, record: Mapping[str, Any]) -> list[Metric]:
        """List the metrics that a finished clip's record lacks.

        A score that is None is missing as well, unless the clip has no ground
        truth for it.
        """
        scores = record['scores']
        return [
            metric
            for metric in self.metrics
            if is_for(metric, record['dataset'])
            and scores.get(metric.name) is None
            and (
                metric.name not in scores
                or not metric.needs_gt
                or has_failed(metric.name, record)
            )
        ]

    def lacks_pictures(self, record: Mapping[str, Any]) -> bool:
        """Return whether pictures of a finished clip are still to be made."""
        if self.show_dir is None:
            return False
        place = (self.show_dir, record['dataset'], record['name'])
        paths = picture_paths(*place, record['num_frames'])
        drawn = record.get('pictures') == self._pictures()
        return not (drawn and all(path.exists() for path in paths.values()))

    def _write(self, record: dict[str, Any]) -> dict[str, Any]:
        path = record_path(self.work_dir, record['dataset'], record['name'])
        write_json(path, record)
        return record

    def _pictures(self) -> str:
        return str(Path(self.show_dir or '').absolute())

    def _show(
        self, lq: Tensor, sample: VideoSample, record: dict[str, Any]
    ) -> None:
        if self.show_dir is None:
            return
        try:
            draw_pictures(self.show_dir, lq, sample)
            record['pictures'] = self._pictures()
        except FAILURES as error:
            record['problems'].append(_problem(_PICTURES, sample, error))

    def _describe(self, lq: Tensor, sample: VideoSample) -> dict[str, Any]:
        pred = sample.pred
        assert pred is not None, 'no clip was restored'
        if len(pred) != len(lq):
            raise ValueError(
                f'{len(pred)} frames were restored from {len(lq)}'
            )
        return {
            'num_frames': len(pred),
            'fps': sample.fps,
            'lq_size': list(lq.shape[-2:]),
            'size': list(pred.shape[-2:]),
            'seconds': sample.seconds,
            'peak_memory': sample.peak_memory,
            'files': self._files(sample, pred),
            **({'pred_sha256': digest_of(pred)} if self.save else {}),
        }

    def _files(self, sample: VideoSample, pred: Tensor) -> dict[str, str]:
        # absolute: reports may be made in another working directory
        files = {k: str(Path(v).absolute()) for k, v in sample.files.items()}
        if self.save is not None:
            path = self.work_dir / 'restored' / sample.dataset / sample.name
            path = write_clip(path, self.save, pred, sample.fps)
            files['pred'] = path.relative_to(self.work_dir).as_posix()
        return files

    def _score(self, sample: VideoSample) -> dict[str, Any]:
        pred, gt = sample.pred, sample.gt
        assert pred is not None
        found = self._measure(self.metrics, sample)
        problems = found.pop('problems')
        shift = None
        if self.shift is not None and gt is not None:
            try:
                shift = asdict(self.shift(pred, gt))
            except FAILURES as error:
                problems.append(_problem('shift', sample, error))
        left_out = self._left_out(sample.dataset)
        return {
            **{**found, 'left_out': left_out, 'shift': shift},
            'problems': problems,
        }

    def _measure(
        self, metrics: Sequence[Metric], sample: VideoSample
    ) -> dict[str, Any]:
        """Score a clip by those metrics that are for its set."""
        pred, gt = sample.pred, sample.gt
        assert pred is not None
        scores: dict[str, float | None] = {}
        parts, extras, problems = {}, {}, []
        for metric in metrics:
            name = metric.name
            if not is_for(metric, sample.dataset):
                continue
            scores[name] = None
            if metric.needs_gt and gt is None:
                continue
            try:
                found = metric.measure(pred, gt)
                if isnan(found.score):
                    raise ValueError('the score is not a number')
            except FAILURES as error:
                problems.append(_problem(name, sample, error))
                continue
            scores[name] = found.score
            parts[name] = {'frames': found.frames, 'values': found.parts}
            extras[name] = found.extras
        return {
            **{'scores': scores, 'parts': parts, 'extras': extras},
            'problems': problems,
        }

    def _left_out(self, dataset: str) -> list[str]:
        return [m.name for m in self.metrics if not is_for(m, dataset)]


def restore_clip(restorer: Restorer, lq: Tensor, sample: VideoSample) -> None:
    """Restore a clip as `star restore` does; record what it costs.

    Args:
        restorer: restores with its own options, at the sample's `scale`
            where it has one.
        lq: low-quality clip, (T, 3, h, w) uint8 RGB.
        sample: gets `pred`, `seconds` and `peak_memory`; its `prompt`, where
            it has one, replaces that of the options.
    """
    options = restorer.restore_options
    if sample.scale is not None:
        options = replace(options, scale=sample.scale)
    if sample.prompt and 'prompt' in restorer.options_used:
        options = replace(options, prompt=sample.prompt)
    weight = next(restorer.parameters(), torch.empty(0))
    with measure_cost(weight.device) as cost:
        sample.pred = torch.cat(list(restorer.restore_stream(lq, options)))
    sample.seconds = cost.seconds
    sample.peak_memory = cost.peak_memory or None


def describe_record(record: dict[str, Any]) -> str:
    """Return one line with a clip's name, scores and speed."""
    name = f'{record["dataset"]}/{record["name"]}'
    if record.get('failed'):
        return f'{name}: failed'
    words = [
        f'{metric} {score:.4g}'
        for metric, score in record['scores'].items()
        if score is not None
    ]
    if record['seconds'] is not None:
        words.append(f'{record["seconds"] / record["num_frames"]:.3g} s/frame')
    return f'{name}: {", ".join(words) or "not scored"}'


def has_failed(metric: str, record: Mapping[str, Any]) -> bool:
    """Return whether a clip's record says why it lacks a metric's score."""
    start = f'{metric} of {record["dataset"]}/{record["name"]}: '
    return any(line.startswith(start) for line in record['problems'])


def _prefix(what: str, sample: VideoSample) -> str:
    return f'{what} of {sample.dataset}/{sample.name}: '


def _problem(what: str, sample: VideoSample, error: Exception) -> str:
    return _prefix(what, sample) + error_line(error)
