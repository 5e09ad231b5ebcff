"""A pipeline's run: the restore path, with calls after its evaluations."""

from collections.abc import Callable, Iterator
from typing import Any, cast

import torch
from torch import Tensor

from star.models.contracts import Events, Restorer
from star.models.restoration.local_strategy import is_local
from star.models.restoration.options import RestoreOptions
from star.models.restoration.restoration import Restoration
from star.models.restoration.whole_clip import restore_whole

_SEEDS = 2**32


class StepCalls:
    """Passes the evaluations of a sampler on to a user's function.

    Args:
        pipe: the pipeline, its first argument.
        callback: as for `callback_on_step_end`; None for no calls.
    """

    def __init__(self, pipe: Any, callback: Callable | None) -> None:
        self.pipe = pipe
        self.callback = callback
        self.count = 0

    def __call__(self, first: int, t: float, x0: Tensor) -> None:
        """Receive one evaluation; see `SegmentSampler`.

        Raises:
            ValueError: the function returns other latents.
        """
        assert self.callback is not None
        found = self.callback(self.pipe, self.count, t, {'latents': x0})
        self.count += 1
        if found and found.get('latents', x0) is not x0:
            raise ValueError(
                '`callback_on_step_end` must return the latents that it got: '
                'they can be looked at, not changed'
            )


class _Bar:
    """Shows the restored frames as a bar."""

    def __init__(self, bar: Any) -> None:
        self.bar = bar

    def progress(self, stage: str, done: int, total: int | None) -> None:
        """Receive how far a stage is."""
        if stage == 'decode':
            self.bar.update(done - self.bar.n)

    def note(self, text: str) -> None:
        """Write a sentence above the bar."""
        self.bar.write(f'note: {text}')


class _Watched:
    """A model whose evaluations are watched."""

    def __init__(self, model: Any, calls: StepCalls) -> None:
        self.model, self.calls = model, calls

    def restore_stream(
        self, frames: Tensor, options: RestoreOptions, events: Events
    ) -> Iterator[Tensor]:
        """Restore frames as they come; see `STARModel.restore_stream`."""
        parts, watch = self.model.parts, self.calls
        restoration = Restoration(parts, options, events, watch)
        return (piece.frames for piece in restoration.run(iter(frames)))


def run_steps(
    model: Any,
    clip: Tensor,
    options: RestoreOptions,
    calls: StepCalls,
    bar: Any,
) -> Tensor:
    """Restore a clip.

    Args:
        model: a STARModel in evaluation mode.
        clip: (T, 3, h, w) uint8 or uint16.
        options: of the restoration.
        calls: what is called after each evaluation.
        bar: of tqdm, shows the restored frames.

    Returns:
        (T, 3, H, W) of the type of `clip`.
    """
    watched = calls.callback is not None and not is_local(model.parts, options)
    source = cast(Restorer, _Watched(model, calls)) if watched else model
    return restore_whole(source, clip, options, _Bar(bar))


def seed_of(
    generator: torch.Generator | list[torch.Generator] | None,
) -> int | None:
    """Return the seed of a generator, its last 32 bits; None for none.

    Args:
        generator: one, or a list of one.

    Raises:
        ValueError: there are several, or it is something else.
    """
    if isinstance(generator, list) and len(generator) == 1:
        generator = generator[0]
    if generator is None:
        return None
    if not isinstance(generator, torch.Generator):
        raise ValueError(
            '`generator` must be a torch.Generator, for one clip, got '
            f'{type(generator).__name__}'
        )
    return generator.initial_seed() % _SEEDS
