"""`RestoreTask`: one clip, from its checks to its result and record."""

import os
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

import star
from star.apis.inference.borders import Borders, find_borders
from star.apis.inference.file_options import FileOptions
from star.apis.inference.fingerprint import (
    describe_method,
    digest_of_content,
    plain,
)
from star.apis.inference.journal import (
    RESULT,
    Journal,
    discard_journal,
    open_journal,
    remove_set_aside,
)
from star.apis.inference.out_of_memory import watch_memory
from star.apis.inference.piecewise import (
    PiecewiseRestoration,
    Work,
    writing,
)
from star.apis.inference.result_names import RECORD
from star.apis.inference.scenes import (
    SceneRange,
    keep_ranges,
    open_scenes,
    plan_ranges,
    read_ranges,
)
from star.apis.inference.sidecar import find_complete, sidecar_path
from star.apis.inference.trust_facts import (
    TrustFacts,
    describe_clip,
    describe_weights,
    restored_by,
    summarise,
    write_trust,
)
from star.models.contracts import Events, Restorer
from star.models.restoration.events import EventRelay
from star.models.restoration.options import RestoreOptions
from star.utils.files import made_folder, move
from star.utils.scratch import scratch_in
from star.video.colour.alpha import enlarge
from star.video.colour.gray import remove_colour
from star.video.cut_files import load_cuts
from star.video.cuts import split_scenes
from star.video.info import Frame, VideoError, VideoInfo
from star.video.io import VideoReader
from star.video.result_plan import ResultPlan, ResultRequest, plan_result

_CHOICES = ('auto', 'none')  # of cuts that are no file
_NO_MATTER = (
    'overwrite',
    'strict_streams',
    'until',
    'memory',
)  # to the result


@dataclass(frozen=True)
class Done:
    """A complete result.

    Args:
        frames: of the clip.
        kept: frames that an earlier run had restored.
        notes: changes and losses, a sentence each.
        warnings: what a person should look at, a sentence each.
    """

    frames: int
    kept: int
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = ()


class RestoreTask:
    """One clip to restore.

    Args:
        restorer: of the clip.
        reader: of the input.
        options: of the restoration.
        files: of reading and writing.
        dst: the result.

    Raises:
        VideoError: the result cannot be written with these options.
    """

    def __init__(
        self,
        restorer: Restorer,
        reader: VideoReader,
        options: RestoreOptions,
        files: FileOptions,
        dst: str | os.PathLike,
    ) -> None:
        self.reader, self.files = reader, files
        self.restorer, self.options = restorer, options
        mark = restored_by(config_of(restorer), options, star.__version__)
        self.plan = _plan(dst, reader.info, options.scale, files, mark)
        reader.depth, reader.keep_alpha = self.plan.depth, self.plan.alpha
        if files.strict_streams and self.plan.losses:
            raise VideoError(f'{reader.info.path}: {self.plan.losses[0]}')
        if files.cuts not in _CHOICES:
            load_cuts(files.cuts)  # a wrong line is named at once
        self.method = describe_method(restorer, options)
        self.key = plain(self._make_key())

    def _make_key(self) -> dict[str, Any]:
        """Collect what the result depends on."""
        files = {
            name: value
            for name, value in asdict(self.files).items()
            if name not in _NO_MATTER
        }
        if self.files.cuts not in _CHOICES:
            files['cuts'] = digest_of_content(Path(self.files.cuts))
        return {
            'input': digest_of_content(self.reader.info.path),
            'kind': [self.plan.kind, self.plan.path.suffix],
            **files,
            **self.method,
        }

    def find_done(self) -> Done | None:
        """Return the result if it is there, complete and the same."""
        record = find_complete(self.plan.path, self.key)
        if record is None:
            return None
        discard_journal(self.plan.path)
        frames = record['output']['frames']
        notes, warnings = record['notes'], record['warnings']
        return Done(frames, frames, tuple(notes), tuple(warnings))

    def restore(self, events: Events | None) -> Done:
        """Restore what is not done, and write result and record.

        Args:
            events: receives progress and notes; None for nobody.
        """
        path, relay = self.plan.path, self._relay(events)
        with (
            open_journal(path) as journal,
            scratch_in(journal.folder),
            writing(path),
        ):
            changes = journal.load(self.key)
            total = self._count(journal, relay)
            kept = journal.position.done
            earlier = _describe_earlier(changes, kept)
            if events is not None:
                for note in earlier:
                    events.note(note)
            relay.total = total
            relay.progress('decode', kept, total)
            run = self._restoration(journal, relay, total)
            run.run(total)
            kept += run.taken
            temporary = journal.folder / f'{RESULT}{path.suffix}'
            late = run.join(temporary)
            notes = [
                *chain(*(record.notes for record in journal.list_records())),
                *self.reader.notes,
                *relay.notes,
                *late,
            ]
            done = Done(total, kept, tuple(dict.fromkeys(notes)))
            # in this order: a result without its record is made again
            record = self._record(journal, temporary, done)
            notes = [*earlier, *done.notes]
            move(temporary, path)
            remove_set_aside(path)
            journal.remove()
        warnings = tuple(record['warnings'])
        return replace(done, notes=tuple(notes), warnings=warnings)

    def plan_scenes(self, count: int) -> list[SceneRange]:
        """Divide the clip at borders of scenes, for several processes.

        Args:
            count: how many ranges of scenes there shall be at most.

        Returns:
            The ranges, which an earlier run may have chosen; empty where the
            clip is complete or cannot be divided.
        """
        if self.find_done() is not None:
            return []
        path = self.plan.path
        with made_folder(path.parent), open_journal(path) as journal:
            journal.load(self.key)
            known = read_ranges(journal)
            if known is not None:
                journal.keep = True
                return known
            found, frames = [], 0
            cuts = split_scenes(self.reader.frames(), self.files.cuts)
            for frames, (_, begins) in enumerate(cuts, 1):
                if begins:
                    found.append(frames - 1)
            done = journal.position.done
            ranges = plan_ranges(found, frames, count, done)
            if len(ranges) < 2:
                return []
            keep_ranges(journal, ranges)
            return ranges

    def restore_scenes(
        self, scenes: SceneRange, events: Events | None
    ) -> None:
        """Restore some scenes, for the process that restores the clip.

        Args:
            scenes: as `plan_scenes` gives them.
            events: receives progress; notes come with the result.
        """
        path, relay = self.plan.path, self._relay(events)
        with (
            open_scenes(path, self.key, scenes.first) as journal,
            scratch_in(journal.folder),
            writing(path),
        ):
            total = self._count(journal, relay)
            relay.total = total
            relay.progress('decode', journal.position.done, total)
            self._restoration(journal, relay, total).run(scenes.end)

    def _relay(self, events: Events | None) -> EventRelay:
        """Return what passes events on; it has the notes of the plan."""
        watched = watch_memory(self.restorer, self.files.memory, events)
        relay = EventRelay(watched)
        for note in self.plan.notes:
            relay.note(note)
        deep = getattr(self.restorer, 'takes_16_bit', False)
        if self.plan.depth > 8 and not deep:
            name = type(self.restorer).__name__
            relay.note(f'{name} restores with 8 bits, the result has more')
        return relay

    def _restoration(
        self, journal: Journal, relay: EventRelay, total: int
    ) -> PiecewiseRestoration:
        work = Work(
            self.restorer,
            self.options,
            self.plan,
            self.files.cuts,
            self.files.until,
            self._borders((), total),
            self.files.memory,
        )
        return PiecewiseRestoration(
            work, self.reader, journal, relay, finish_frame
        )

    def _file_facts(self) -> dict[str, Any]:
        """Return the options of files, without those of this machine."""
        return {k: v for k, v in asdict(self.files).items() if k != 'memory'}

    def _count(self, journal: Journal, relay: EventRelay) -> int:
        """Count the frames that can be read; an image has room for one."""
        if journal.total is None:
            # decoded once without converting, to fail before the long work
            expected = self.reader.info.num_frames
            if expected is not None and self.files.frames is not None:
                expected = min(expected, self.files.frames)

            def tell(done: int) -> None:
                relay.progress('read', done, expected)

            tell(0)
            journal.set_total(self.reader.count(tell))
        assert journal.total is not None
        cuts = self.files.cuts
        if cuts not in _CHOICES and self.files.frames is None:
            load_cuts(cuts).check(journal.total)
        if journal.total > 1 and self.plan.kind == 'image':
            raise VideoError(
                f'{self.plan.path}: an image cannot hold {journal.total} '
                'frames; choose a video or a folder'
            )
        return journal.total

    def _record(
        self, journal: Journal, result: Path, done: Done
    ) -> dict[str, Any]:
        """Write the record of a result that has still another name."""
        info, path = self.reader.info, self.plan.path
        records = list(journal.list_records())
        scenes = tuple(chain(*(record.cuts for record in records)))
        size = (info.width, info.height)
        facts = TrustFacts(
            describe_clip(info.path, done.frames, size, '', self.key['input']),
            describe_clip(result, done.frames, self.plan.size, path.name),
            plain(self.method),
            describe_weights(self.restorer),
            config_of(self.restorer),
            self.key,
            plain(self._file_facts()),
            scenes,
            self._borders(scenes, done.frames),
            done.notes,
        )
        rows = list(chain(*(record.rows for record in records)))
        record = summarise(rows, facts)
        written = journal.folder / f'{RESULT}{RECORD}'
        write_trust(written, record)
        move(written, sidecar_path(path))
        return record

    def _borders(self, scenes: tuple[int, ...], frames: int) -> Borders:
        info = self.reader.info
        size = (info.width, info.height)
        return find_borders(self.restorer, self.options, size, scenes, frames)


def _describe_earlier(changes: list[str], kept: int) -> list[str]:
    """Say what became of an earlier run; the result does not depend on it."""
    notes = []
    if changes:
        text = 'an earlier run is not used, for these have changed: '
        notes.append(text + ', '.join(changes))
    if kept:
        notes.append(f'{kept} frames were restored by an earlier run')
    return notes


def config_of(restorer: Restorer) -> str:
    """Return the name of the config of a model, or of its class."""
    name = type(restorer).__name__
    return str(getattr(restorer, 'config_name', '') or name)


def _plan(
    dst: str | os.PathLike,
    info: VideoInfo,
    scale: float,
    files: FileOptions,
    mark: str,
) -> ResultPlan:
    """Check all that can be checked of the output."""
    shortened = files.frames is not None and (
        info.num_frames is None or files.frames < info.num_frames
    )
    request = ResultRequest(
        codec=files.codec,
        crf=files.crf,
        pix_fmt=files.pix_fmt,
        overwrite=files.overwrite,
        trim_streams=shortened,
        mark=mark if files.mark else '',
    )
    size = round(info.width * scale), round(info.height * scale)
    return plan_result(dst, size, info, request)


def finish_frame(
    image: np.ndarray, frame: Frame
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return a restored frame's pixels and opacity, as the input's are."""
    if frame.gray:
        image = remove_colour(image)
    if frame.alpha is None:
        return image, None
    height, width = image.shape[:2]
    return image, enlarge(frame.alpha, (width, height))
