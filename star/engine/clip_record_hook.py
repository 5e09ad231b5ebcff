"""Scores each clip of a test, writes its record, and lets go of it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from star.engine.clip_files import KINDS, write_clip
from star.engine.validation_log import reason
from star.registry import HOOKS
from star.structures import VideoSample
from star.utils.files import write_json

# what clips, files and packages that are not as they should be raise; the
# rest are defects, and end the run
_FAILURES = (ImportError, MemoryError, OSError, RuntimeError, ValueError)


@HOOKS.register_module()
class ClipRecordHook(Hook):
    """Writes one file for each clip of a test, `clips/SET/NAME.json`.

    A file is there whole or not at all, so a run that was killed goes on
    from the files that it finds. A clip that failed has a file that says so.
    A metric that fails for a clip is a line among its `problems`; the others
    are not kept from it. The clip's tensors are dropped afterwards.

    Args:
        work_dir: the run's folder.
        metrics: with `name`, `needs_gt` and `measure`, as those of
            `star.evaluation`; perhaps with `datasets`, the names of the
            sets that they measure.
        save: 'png' or 'mkv' (FFV1) to keep restored clips as
            `restored/SET/NAME` without loss; None keeps none.
        shift: measures the displacement of `pred` against `gt` and returns a
            dataclass; None leaves it out.

    Raises:
        ValueError: unknown `save`.
    """

    def __init__(
        self,
        work_dir: str | Path,
        metrics: Sequence[Any],
        save: str | None = None,
        shift: Callable[[Tensor, Tensor], Any] | None = None,
    ) -> None:
        if save is not None and save not in KINDS:
            raise ValueError(
                f'`save` must be one of {", ".join(KINDS)} or None, got '
                f'{save!r}'
            )
        self.work_dir = Path(work_dir)
        self.metrics, self.save, self.shift = list(metrics), save, shift

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[VideoSample] | None = None,
    ) -> None:
        """Score and record the clips of a batch, then drop their tensors."""
        for lq, sample in zip(
            data_batch['inputs'], outputs or [], strict=True
        ):
            record = self._record(lq, sample)
            folder = self.work_dir / 'clips' / sample.dataset
            write_json(folder / f'{sample.name}.json', record)
            place = f'[{batch_idx + 1}/{len(runner.test_dataloader)}]'
            runner.logger.info(f'{place} {describe(record)}')
            for problem in record['problems']:
                runner.logger.warning(problem)
            sample.gt = sample.pred = None
        data_batch.clear()  # the loop holds it while it reads the next one

    def _record(self, lq: Tensor, sample: VideoSample) -> dict[str, Any]:
        known = {'dataset': sample.dataset, 'name': sample.name}
        if sample.problem is None:
            try:
                return known | self._scored(lq, sample)
            except _FAILURES as error:
                sample.problem = reason(error)
        line = f'{sample.dataset}/{sample.name}: {sample.problem}'
        return known | {'failed': True, 'problems': [line]}

    def _scored(self, lq: Tensor, sample: VideoSample) -> dict[str, Any]:
        pred = sample.pred
        assert pred is not None, 'the model did not set `pred`'
        if len(pred) != len(lq):
            raise ValueError(
                f'{len(pred)} frames were restored from {len(lq)}'
            )
        record: dict[str, Any] = {
            'num_frames': len(pred),
            'fps': sample.fps,
            'lq_size': list(lq.shape[-2:]),
            'size': list(pred.shape[-2:]),
            'seconds': sample.seconds,
            'peak_memory': sample.peak_memory,
            'files': self._files(sample, pred),
        }
        return record | self._measure(sample, pred)

    def _files(self, sample: VideoSample, pred: Tensor) -> dict[str, str]:
        # a report is not always made from the folder of the test
        files = {k: str(Path(v).absolute()) for k, v in sample.files.items()}
        if self.save is not None:
            place = Path('restored') / sample.dataset / sample.name
            path = write_clip(
                self.work_dir / place, self.save, pred, sample.fps
            )
            files['pred'] = path.relative_to(self.work_dir).as_posix()
        return files

    def _measure(self, sample: VideoSample, pred: Tensor) -> dict[str, Any]:
        found: dict[str, Any] = {
            **{'scores': {}, 'parts': {}, 'extras': {}},
            **{'shift': None, 'problems': []},
        }
        for metric in self.metrics:
            found['scores'][metric.name] = None
            if not _applies(metric, sample):
                continue
            try:
                result = metric.measure(pred, sample.gt)
            except _FAILURES as error:
                found['problems'].append(_line(metric.name, sample, error))
                continue
            found['scores'][metric.name] = result.score
            found['parts'][metric.name] = {
                'frames': result.frames,
                'values': result.parts,
            }
            found['extras'][metric.name] = result.extras
        if self.shift is not None and sample.gt is not None:
            try:
                found['shift'] = asdict(self.shift(pred, sample.gt))
            except _FAILURES as error:
                found['problems'].append(_line('shift', sample, error))
        return found


def describe(record: dict[str, Any]) -> str:
    """Say in one line how a clip did."""
    name = f'{record["dataset"]}/{record["name"]}'
    if record.get('failed'):
        return f'{name}: failed'
    parts = [
        f'{metric} {score:.4g}'
        for metric, score in record['scores'].items()
        if score is not None
    ]
    if record['seconds'] is not None:
        parts.append(f'{record["seconds"] / record["num_frames"]:.3g} s/frame')
    return f'{name}: {", ".join(parts) or "not scored"}'


def _applies(metric: Any, sample: VideoSample) -> bool:
    wanted = getattr(metric, 'datasets', None)
    if wanted is not None and sample.dataset not in wanted:
        return False
    return sample.gt is not None or not metric.needs_gt


def _line(what: str, sample: VideoSample, error: Exception) -> str:
    return f'{what} of {sample.dataset}/{sample.name}: {reason(error)}'
