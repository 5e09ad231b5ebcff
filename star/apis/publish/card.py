"""Write the model card: what a model is, from what, how good, how to use."""

import inspect
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from star.apis.inference.published import WEIGHTS
from star.apis.publish.facts import CardFacts
from star.apis.publish.model import ModelToPublish
from star.apis.publish.scores import SetScores, is_number
from star.registry import MODELS
from star.utils.files import write_text
from star.utils.origins import describe_origins

_TASK = 'video-to-video'
_TAGS = ['video', 'super-resolution', 'video-restoration', 'star-vsr']


def write_card(
    path: Path,
    model: ModelToPublish,
    facts: CardFacts,
    scores: Sequence[SetScores],
    sha256: str,
) -> None:
    """Write a model card with the hub's YAML header.

    Args:
        path: of the file.
        model: that is published.
        facts: of the model.
        scores: of tests of these weights; none are invented.
        sha256: of the file of weights.
    """
    title = facts.repo.rpartition('/')[2]
    header = describe_for_hub(title, facts, scores)
    sections = [
        f'# {title}',
        _method(model),
        _usage(facts.repo),
        _training(model, facts),
        _scores(scores),
        _files(model, sha256),
        _license(facts),
    ]
    body = '\n\n'.join(sections)
    write_text(path, f'---\n{header}\n---\n\n{body}\n')


def describe_for_hub(
    name: str, facts: CardFacts, scores: Sequence[SetScores]
) -> str:
    """Return the YAML of a card's header, as the hub reads it.

    Args:
        name: of the model.
        facts: of the model.
        scores: of tests of it.
    """
    from huggingface_hub import EvalResult, ModelCardData  # slow

    results = [
        EvalResult(
            task_type=_TASK,
            dataset_type=each.dataset.lower(),
            dataset_name=each.dataset,
            metric_type=metric.lower(),
            metric_name=metric,
            metric_value=round(score, 4),
        )
        for each in scores
        for metric, score in each.scores.items()
        if is_number(score)
    ]
    data = ModelCardData(
        license=facts.license or None,
        license_name=_slug(facts.license_name) or None,
        library_name='star-vsr',
        pipeline_tag=_TASK,
        tags=_TAGS,
        base_model=facts.base_models or None,
        model_name=name if results else None,
        eval_results=results or None,
    )
    return data.to_yaml().strip()


def _slug(name: str) -> str:
    """Return a name in the letters that the hub takes."""
    return re.sub('[^a-z0-9.]+', '-', name.lower()).strip('-')


def _method(model: ModelToPublish) -> str:
    config = model.manifest['model']
    kind = config['type']
    says = (inspect.getdoc(MODELS.get(kind)) or '').splitlines()[0]
    parts = [
        (f'`{name}`', f'`{part["type"]}`')
        for name, part in config.items()
        if isinstance(part, Mapping) and 'type' in part
    ]
    text = f'`{kind}`: {says}'
    if model.source:
        text += f' Source: {model.source}.'
    return text + (f'\n\n{_table(("part", "type"), parts)}' if parts else '')


def _usage(repo: str) -> str:
    return f"""## Use

    pip install star-vsr
    star restore old.mp4 new.mp4 --config hf://{repo}

From Python:

```python
from star.apis import init_model, restore_video

model = init_model('hf://{repo}')
restore_video(model, 'old.mp4', 'new.mp4')
```

A folder with these files works in place of the name."""


def _training(model: ModelToPublish, facts: CardFacts) -> str:
    lines = ['## Training', '']
    rows = list(facts.training.items())
    if rows:
        lines.append(_table(('', 'value'), rows))
    else:
        lines.append('The file does not say how it was trained.')
    if facts.averaged:
        lines += ['', 'The weights are the averages over the training.']
    if model.origins:
        lines += ['', 'Where its weights came from:', '']
        lines += [f'- {line}' for line in describe_origins(model.origins)]
    return '\n'.join(lines)


def _scores(scores: Sequence[SetScores]) -> str:
    if not scores:
        return '## Scores\n\nNone were given when this card was written.'
    tables = [
        f'{each.dataset}, {each.clips} clips, {each.frames} frames '
        f'(protocol {each.protocol[:12]}, star-vsr {each.version}):\n\n'
        + _table(('metric', 'mean'), _score_rows(each))
        for each in scores
    ]
    return '\n\n'.join(['## Scores', *tables])


def _score_rows(each: SetScores) -> list[tuple[str, str]]:
    return [
        (f'{name} {"↑" if name in each.higher else "↓"}', f'{score:.4f}')
        for name, score in each.scores.items()
    ]


def _files(model: ModelToPublish, sha256: str) -> str:
    size = sum(tensor.numel() for tensor in model.state.values())
    rows = [(f'`{WEIGHTS}`', ', '.join(model.parts), f'{size:,}', sha256)]
    text = '## Files\n\n' + _table(
        ('file', 'parts', 'parameters', 'SHA-256'), rows
    )
    needed = model.manifest.get('weights', {})
    if needed:
        names = [f'- {_origin(entry)}' for entry in needed.values()]
        text += '\n\nNeeded besides, and downloaded at first use:\n\n'
        text += '\n'.join(names)
    return text


def _origin(entry: Mapping[str, Any]) -> str:
    where = f' from `{entry["repo"]}`' if 'repo' in entry else ''
    digest = f', SHA-256 {entry["sha256"]}' if 'sha256' in entry else ''
    return f'`{entry["file"]}`{where}{digest}'


def _license(facts: CardFacts) -> str:
    if not facts.license:
        return '## Licence\n\nNone is stated.'
    return f'## Licence\n\n{facts.license_name or facts.license}'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ['---'] * len(head), *rows]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)
