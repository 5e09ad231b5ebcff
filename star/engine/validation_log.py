"""Logging of a validation: images, mean scores, warnings."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmengine.visualization import LocalVisBackend

from star.utils.files import write_json


@dataclass
class ClipResult:
    """Result of one validation clip.

    Args:
        index: of the clip in the data set.
        name: of its files and of its image in the log.
        image: the comparison's middle frame, (H, W, 3) uint8 RGB; None if
            the clip failed.
        scores: by metric; those that need ground truth may be absent.
        notes: one line for each problem.
    """

    index: int
    name: str
    image: np.ndarray | None = None
    scores: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def log_results(
    runner: Runner, iteration: int, results: list[ClipResult], folder: Path
) -> None:
    """Log images and mean scores to the visualizer, notes as warnings.

    Args:
        runner: with the visualizer.
        iteration: number of iterations that the model was trained for.
        results: one for each clip.
        folder: gets `scores.json`.
    """
    for note in dict.fromkeys(n for r in results for n in r.notes):
        warn(f'validation at iteration {iteration}: {note}')
    restored = [result for result in results if result.image is not None]
    for result in restored:
        _add_image(runner, f'val/{result.name}', result.image, iteration)
    if restored:
        table = {result.name: result.scores for result in restored}
        write_json(folder / 'scores.json', table)
    means = _means(restored)
    if means:
        runner.visualizer.add_scalars(
            means | {'iter': iteration}, step=iteration
        )
    scores = ''.join(f'  {name}: {mean:.4f}' for name, mean in means.items())
    print_log(
        f'Validation at iteration {iteration}: {len(restored)} of '
        f'{len(results)} clips in {folder}{scores}',
        logger='current',
    )


def mean_scores(results: list[ClipResult]) -> dict[str, float]:
    """Compute the means of the scores that all clips have, by metric.

    A mean over fewer clips could not be compared with those of other
    iterations.
    """
    names = list(results[0].scores) if results else []
    return {
        name: float(np.mean([result.scores[name] for result in results]))
        for name in names
        if all(name in result.scores for result in results)
    }


def _means(results: list[ClipResult]) -> dict[str, float]:
    names = dict.fromkeys(name for r in results for name in r.scores)
    return {
        f'val/{name}': float(
            np.mean([r.scores[name] for r in results if name in r.scores])
        )
        for name in names
    }


def _add_image(
    runner: Runner, name: str, image: np.ndarray | None, step: int
) -> None:
    """Log an image, except to the local backend: its file exists already."""
    for backend in runner.visualizer._vis_backends.values():
        if not isinstance(backend, LocalVisBackend):
            backend.add_image(name, image, step)


def warn(message: str) -> None:
    """Write a warning to the log."""
    print_log(message, logger='current', level=logging.WARNING)
