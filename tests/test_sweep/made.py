"""Runs with results as `star test` writes them."""

from pathlib import Path

from star.sweep.plan import Run, Setting, make_setting
from star.sweep.stages import run_folder
from star.utils.files import write_json

ALPHA = 'model.losses.frequency.alpha'
BETTER = {'PSNR': True, 'LPIPS': False}


def setting(alpha: str, config: str = 'configs/star/i2vgen.py') -> Setting:
    return make_setting(config, {ALPHA: alpha})


def write_results(
    work_dir: Path,
    run: Run,
    scores: dict[str, float | str | None],
    dataset: str = 'UDM10',
    clips: int = 10,
    problems: tuple[str, ...] = (),
    fingerprint: str = 'f',
    frames: int = 32,
    origins: tuple[dict[str, object], ...] = (),
) -> None:
    """Write results.json of a run."""
    data = {
        'format': 'star-results/1',
        'method': {'name': run.setting.name, 'origins': list(origins)},
        'protocol': {
            'fingerprint': fingerprint,
            'metrics': [
                {'name': name, 'higher_is_better': BETTER[name]}
                for name in scores
            ],
        },
        'sets': {
            dataset: {'scores': scores, 'scored': dict.fromkeys(scores, clips)}
        },
        'clips': [
            {
                'dataset': dataset,
                'name': str(i),
                'num_frames': frames,
                'size': [720, 1272],
                'lq_size': [180, 318],
            }
            for i in range(clips)
        ],
        'problems': list(problems),
    }
    write_json(run_folder(work_dir, run) / 'test' / 'results.json', data)


def make_sweep(work_dir: Path) -> list[Run]:
    """Two alphas, three seeds; PSNR 20, 21, 22 and 23, 24, 25."""
    runs = []
    for alpha, base in (('0.5', 20.0), ('1', 23.0)):
        for seed in range(3):
            runs.append(Run(setting(alpha), seed))
            scores = {'PSNR': base + seed, 'LPIPS': 0.3 - base / 100}
            write_results(work_dir, runs[-1], scores)
    return runs
