"""What a validation leaves behind: images, mean scores, notes in the log."""

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmengine.visualization import LocalVisBackend


@dataclass
class ClipResult:
    """What came of one validation clip.

    Args:
        index: clip's number in the data set.
        name: name of its files and of its image in the log.
        image: the comparison's middle frame, (H, W, 3) uint8 RGB; None where
            the clip failed.
        scores: number of each metric, empty without ground truth.
        notes: what went wrong, a line each.
    """

    index: int
    name: str
    image: np.ndarray | None = None
    scores: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def log_results(
    runner: Runner, iteration: int, results: list[ClipResult], folder: Path
) -> None:
    """Hand images and mean scores to the visualizer, notes to the log.

    Args:
        runner: whose visualizer and log are meant.
        iteration: how many iterations the model was trained for.
        results: one of each clip.
        folder: gets `scores.json`.
    """
    for note in dict.fromkeys(n for r in results for n in r.notes):
        warn(f'validation at iteration {iteration}: {note}')
    restored = [result for result in results if result.image is not None]
    for result in restored:
        _add_image(runner, f'val/{result.name}', result.image, iteration)
    if restored:
        table = {result.name: result.scores for result in restored}
        text = json.dumps(table, indent=2) + '\n'
        (folder / 'scores.json').write_text(text, encoding='utf-8')
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
    """Log an image, except to the local backend: its file is there."""
    for backend in runner.visualizer._vis_backends.values():
        if not isinstance(backend, LocalVisBackend):
            backend.add_image(name, image, step)


def reason(error: Exception) -> str:
    """Put into one line what an exception says."""
    text = ' '.join(str(error).split())
    if isinstance(error, ValueError | ImportError) and text:
        return text
    return f'{type(error).__name__}: {text}'.removesuffix(': ')


def warn(message: str) -> None:
    """Write a warning to the log."""
    print_log(message, logger='current', level=logging.WARNING)
