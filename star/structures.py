"""The objects that travel between rooms: a clip's sample, a metric."""

from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor


@dataclass
class TeacherPath:
    """A teacher's restoration of a clip in many steps, with some states.

    Args:
        z0: restored latents, (C, T, h, w).
        t: timesteps of the states, K whole numbers that decrease.
        x_t: noised latents that the teacher met at `t`, (K, C, T, h, w).
        v: its guided velocities there, (K, C, T, h, w).
        noise_seed: of the restoration, and so of the noise it began with.
        no_text: embedding of the empty prompt, (L, D), or None.
    """

    z0: Tensor
    t: list[int]
    x_t: Tensor
    v: Tensor
    noise_seed: int
    no_text: Tensor | None = None


@dataclass
class VideoSample:
    """All data of one clip besides the network's input.

    Args:
        gt: ground truth, (T, C, H, W) uint8 RGB, or None.
        pred: restored clip, (T, C, H, W) uint8 RGB, set by the model.
        prompt: description of the clip; empty for none.
        name: name of the clip, unique in its data set.
        dataset: name of the data set.
        fps: frames per second; None if unknown.
        scale: size of the restored clip over that of the input, as the data
            set has it; None for the method's own.
        record: parameters of the degradation that made the input, in JSON's
            terms; `replay` repeats it.
        seed: seed of the random numbers that training draws for this clip,
            so that they depend neither on the batch nor on the rank; None
            for the global random state.
        z0: cached latent of the ground truth, (C, T, h, w), or None.
        z_lq: cached latent of the enlarged low-quality clip, (C, T, h, w),
            or None.
        text: cached embedding of the prompt, (L, D), or None.
        teacher: cached restoration of a teacher, or None.
        files: paths that the clip was read from, by 'lq' and 'gt'.
        seconds: time of the restoration without reading and scoring; None
            if it was not measured.
        peak_memory: largest number of bytes in use during the restoration,
            on the device, or by the process on a CPU; None if it was not
            measured.
        problem: why the clip could not be read or restored; None for
            success.
    """

    gt: Tensor | None = None
    pred: Tensor | None = None
    prompt: str = ''
    name: str = ''
    dataset: str = ''
    fps: float | None = None
    scale: float | None = None
    record: dict | None = None
    seed: int | None = None
    z0: Tensor | None = None
    z_lq: Tensor | None = None
    text: Tensor | None = None
    teacher: TeacherPath | None = None
    files: dict[str, str] = field(default_factory=dict)
    seconds: float | None = None
    peak_memory: int | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Measurement:
    """A metric's result for one clip.

    Args:
        score: of the clip; the mean of `parts` where there are any.
        parts: one number for each measured frame, or pair of frames.
        frames: index of each part's frame; of a pair, the first.
        extras: further numbers by name.
    """

    score: float
    parts: list[float] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    extras: dict[str, float] = field(default_factory=dict)


class Metric(Protocol):
    """A metric as tests and validation use it; see `star.evaluation`."""

    name: str
    needs_gt: bool
    datasets: list[str] | None  # names of the sets it measures; None for all

    def measure(self, pred: Tensor, gt: Tensor | None = None) -> Measurement:
        """Measure one clip.

        Args:
            pred: restored clip, (T, 3, H, W) uint8 RGB.
            gt: ground truth of the same shape; may be None where `needs_gt`
                is False.

        Raises:
            ValueError: the clips cannot be compared or measured.
        """
        ...

    def describe(self) -> dict[str, Any]:
        """Return what decides the scores, as JSON can hold it."""
        ...
