"""The work of the nodes that restore, by the functions of `star restore`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from star.apis import FileOptions, restore_video
from star.apis.inference.batch import Job, Plan, Rules, plan_jobs
from star.apis.inference.clip_plan import plan_clip
from star.apis.inference.file_options import MemoryRules
from star.apis.inference.frames import restore_frames
from star.apis.inference.journal import count_kept
from star.apis.inference.planning import choose_cuts
from star.models.contracts import Restorer
from star.models.restoration.choose import choose_options
from star.models.restoration.options import CUTS, RestoreOptions

from . import host
from .images import ImageClip, enlarge_mask, make_room_for, to_values
from .inputs import collect
from .method import Method


@dataclass(frozen=True)
class Wishes:
    """The settings of a user.

    Args:
        options: of the restoration, by name; others are the method's own.
        values: of all widgets, by name.
    """

    options: Mapping[str, Any]
    values: Mapping[str, Any]

    @classmethod
    def of(
        cls, values: Mapping[str, Any], options: Mapping[str, Any] | None
    ) -> 'Wishes':
        """Join a node's widgets with the node of further options."""
        return cls({**(options or {}), **collect(values)}, values)

    @property
    def cuts(self) -> str:
        """Return how scenes are found."""
        return self.values.get('scenes', 'auto')

    @property
    def rules(self) -> MemoryRules:
        """Return by which rules windows and tiles are chosen."""
        limit = round(self.values.get('memory_gb', 0) * 10**9) or None
        fixed = sorted({*self.options} & (CUTS - {'memory'}))
        return MemoryRules(limit, tuple(fixed))

    @property
    def files(self) -> FileOptions:
        """Return how files are read and written."""
        values = self.values
        return FileOptions(
            frames=values.get('frames') or None,
            codec=values.get('codec', '').strip() or None,
            crf=values.get('crf', FileOptions.crf),
            overwrite=values.get('overwrite', False),
            cuts=self.cuts,
            memory=self.rules,
        )


def restore_images(
    method: Method, images: Tensor, mask: Tensor | None, wishes: Wishes
) -> tuple[Tensor, Tensor]:
    """Restore a batch of images as one clip.

    Args:
        method: of the restoration.
        images: (B, h, w, 3 or 4), values between 0 and 1.
        mask: (B or 1, h, w); None for the images' own.
        wishes: of the user.

    Returns:
        Images (B, H, W, 3 or 4) and masks (B or 1, H, W).

    Raises:
        ValueError: an option, an image or a mask is wrong.
        MemoryError: memory ran out.
    """
    clip = ImageClip(images)
    count, height, width, channels = images.shape
    own = choose_options(method.restorer, wishes.options)
    size = round(width * own.scale), round(height * own.scale)
    masks = enlarge_mask(mask, images, size)
    with method.at_work() as restorer:
        out = make_room_for((count, size[1], size[0], channels))
        rules = wishes.rules
        choice = choose_cuts(restorer, own, (count, height, width), '', rules)
        _tell_choice(choice.options, choice.changed, choice.note)
        restored = restore_frames(
            restorer,
            clip,
            choice.options,
            wishes.cuts,
            rules,
            host.Progress(),
        )
        for frame in restored:
            out[frame.index, ..., :3] = to_values(frame.image)
            if frame.alpha is not None:
                out[frame.index, ..., 3] = to_values(frame.alpha)
    device = host.find_image_device()
    return out.to(device), masks.to(device)


def restore_source(
    method: Method, source: str, result: str, wishes: Wishes
) -> dict[str, Any]:
    """Restore a file or a folder.

    Args:
        method: of the restoration.
        source: a path, or a name below ComfyUI's folder of inputs.
        result: name below ComfyUI's folder of outputs.
        wishes: of the user.

    Returns:
        The path of the result, or of the folder of several, and what lets
        ComfyUI show it.

    Raises:
        ValueError: an option is wrong, the source cannot be read or the
            result not written.
        MemoryError: memory ran out.
    """
    options = choose_options(method.restorer, wishes.options)
    planned = _plan(source, result, wishes.files.codec)
    for note in planned.notes:
        host.say(note)
    with method.at_work() as restorer:
        for job in planned.jobs:
            _restore_job(restorer, job, options, wishes.files)
    path = planned.jobs[0].dst
    if planned.batch:
        path = Path(host.find_result(result))
    shown = {'text': [str(path)], **host.show_result(path)}
    return {'ui': shown, 'result': (str(path),)}


def fingerprint(source: str | None, result: str, codec: str) -> str:
    """Return a text that changes with a source, or if its result is gone.

    Args:
        source: as for `restore_source`; None if another node gives it.
        result: as for `restore_source`.
        codec: of the result.
    """
    if source is None:
        return ''
    path = host.find_source(source)
    stat = path.stat()
    jobs = _plan(source, result, codec.strip() or None).jobs
    there = all(job.dst.exists() for job in jobs)
    return f'{path} {stat.st_size} {stat.st_mtime_ns} {there}'


def _plan(source: str, result: str, codec: str | None) -> Plan:
    src, dst = host.find_source(source), host.find_result(result)
    return plan_jobs(src, dst, Rules(codec == 'png'))


def _restore_job(
    restorer: Restorer, job: Job, options: RestoreOptions, files: FileOptions
) -> None:
    """Restore one clip; what is done is kept, whatever ends it."""
    target = job.target
    plan = plan_clip(restorer, job.src, target, options, files)
    choice = plan.choice
    _tell_choice(choice.options, choice.changed, choice.note)
    events = host.Progress()
    try:
        done = restore_video(
            restorer, job.src, target, choice.options, files, events
        )
    except BaseException:
        if kept := count_kept(job.dst):
            host.say(
                f'{job.dst}: {kept} restored frames are kept; the same prompt '
                'goes on'
            )
        raise
    for text in done.warnings:
        host.say(f'{job.dst}: {text}')
    host.say(f'{job.dst}: {done.frames} frames in {done.seconds:.1f} s')


def _tell_choice(options: RestoreOptions, changed: bool, note: str) -> None:
    """Say which windows and tiles were chosen for the memory."""
    if changed:
        host.say(
            f'window {options.window}, overlap {options.overlap}, tile '
            f'{options.tile} (chosen for the memory)'
        )
    if note:
        host.say(note)
