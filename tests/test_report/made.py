"""Small results as `star test` writes them, with and without pictures."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIZE = 64, 96  # height, width of the restored clips
FRAMES = 5
BETTER = {'PSNR': True, 'LPIPS': False, 'Ewarp': False}


def protocol(metrics: dict[str, bool] = BETTER) -> dict[str, Any]:
    return {
        'fingerprint': 'f' * 64,
        'metrics': [
            {
                'name': name,
                'type': name,
                'unit': 'pair' if name == 'Ewarp' else 'frame',
                'higher_is_better': better,
                'options': {'preset': 'plain', 'border': 0},
                'weights': {},
            }
            for name, better in metrics.items()
        ],
        'sets': {},
        'versions': {'python': '3.11', 'torch': '2.13'},
        'decoder': 'PyAV 14 (FFmpeg 7)',
        'seed': 0,
        'input': 'restored in memory',
        'device': 'cpu',
        'threads': 1,
    }


def clip(
    dataset: str, name: str, scores: dict[str, Any], shift: Any = None
) -> dict[str, Any]:
    """One clip whose frames score around its mean."""
    rng = np.random.default_rng(len(name))
    parts = {}
    for metric, score in scores.items():
        count = FRAMES - 1 if metric == 'Ewarp' else FRAMES
        if score is None:
            count = 0
        noise = rng.normal(size=count) * 0.05 * float(score or 0)
        values = [score] * count if score == 'inf' else noise + (score or 0)
        parts[metric] = {'frames': [*range(count)], 'values': [*values]}
    return {
        'dataset': dataset,
        'name': name,
        'num_frames': FRAMES,
        'fps': 25.0,
        'lq_size': [side // 4 for side in SIZE],
        'size': list(SIZE),
        'seconds': 1.0,
        'peak_memory': 2**30,
        'files': {},
        'scores': dict(scores),
        'parts': parts,
        'extras': {},
        'shift': shift,
    }


def results(
    name: str,
    clips: list[dict[str, Any]],
    metrics: dict[str, bool] = BETTER,
) -> dict[str, Any]:
    sets = {c['dataset']: None for c in clips}
    return {
        'format': 'star-results/1',
        'method': {
            'name': name,
            'config': f'configs/{name}/{name}.py',
            'type': 'Bicubic',
            'checkpoint': None,
            'weights': {},
            'random_init': False,
            'options': {},
        },
        'protocol': copy.deepcopy(protocol(metrics)),
        'sets': {
            s: {
                'clips': sum(c['dataset'] == s for c in clips),
                'frames': FRAMES * sum(c['dataset'] == s for c in clips),
                'scores': {},
                'scored': {},
                'seconds_per_frame': 0.25,
                'peak_memory': 3 * 2**29,
            }
            for s in sets
        },
        'clips': clips,
        'problems': [],
    }


def as_paper(data: dict[str, Any], dataset: str = 'UDM10') -> None:
    """Give the clips of a set frames and sizes of the paper's UDM10."""
    for each in data['clips']:
        if each['dataset'] == dataset:
            each |= {'num_frames': 32, 'size': [720, 1272]}
            each['lq_size'] = [180, 318]


def write(folder: Path, data: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / 'results.json'
    path.write_text(json.dumps(data), encoding='utf-8')
    return folder


def frames(seed: int = 0) -> np.ndarray:
    """Draw blobs that move to the right; the lively part is at the right."""
    height, width = SIZE
    y, x = np.mgrid[:height, :width]
    made = []
    for t in range(FRAMES):
        wave = np.sin((x - 2 * t) / 3) * np.sin(y / 4) * (x > 2 * width / 3)
        made.append(np.stack([128 + 90 * wave, 90 + y, 60 + x], -1))
    noise = np.random.default_rng(seed).normal(size=(FRAMES, *SIZE, 3))
    return (np.stack(made) + 4 * noise).clip(0, 255).astype(np.uint8)


def save_frames(folder: Path, clip: np.ndarray, scale: int = 1) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i, frame in enumerate(clip):
        image = Image.fromarray(frame[::scale, ::scale])
        image.save(folder / f'{i:08d}.png')
    return folder


def pictured_runs(folder: Path, names: list[str], clip_name: str) -> list[str]:
    """Write runs of one clip that kept their restored frames."""
    gt = save_frames(folder / 'gt', frames())
    lq = save_frames(folder / 'lq', frames(), 4)
    runs = []
    for i, name in enumerate(names):
        scores = {'PSNR': 30.0 + i, 'LPIPS': 0.2 - 0.05 * i, 'Ewarp': 3.0}
        made = clip('set', clip_name, scores)
        pred = folder / name / 'restored' / 'set' / 'clip'
        save_frames(pred, frames(i + 1) // (i + 1))
        inside = pred.relative_to(folder / name)
        made['files'] = {'lq': str(lq), 'gt': str(gt), 'pred': str(inside)}
        runs.append(str(write(folder / name, results(name, [made]))))
    return runs
