"""Rows of scores: averages and Markdown."""

from collections.abc import Iterable, Mapping, Sequence

Scores = Mapping[str, float | None]


def average(
    rows: Iterable[Mapping], by: str, keys: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    """Average the rows that share a value.

    Args:
        rows: scores of clips, and what `by` names.
        by: key to group by, such as 'model'.
        keys: of the scores; one that a row lacks or that is None is missing.

    Returns:
        For each value of `by`, in order of appearance, the mean of every
        key over the rows that have it, or None.
    """
    groups: dict[str, list[Mapping]] = {}
    for row in rows:
        groups.setdefault(row[by], []).append(row)
    return {
        value: {key: _mean([row.get(key) for row in group]) for key in keys}
        for value, group in groups.items()
    }


def markdown(
    head: str, rows: Mapping[str, Scores], columns: Mapping[str, str]
) -> str:
    """Format scores as a table.

    Args:
        head: title of the first column.
        rows: scores by row.
        columns: for each key of the scores its title and number format, such
            as 'PSNR|.2f'.

    Returns:
        Lines of Markdown; what is missing is an empty cell.
    """
    pairs = {key: text.rsplit('|', 1) for key, text in columns.items()}
    titles = [head, *(title for title, _ in pairs.values())]
    lines = [titles, ['---'] * len(titles)]
    for name, scores in rows.items():
        cells = [_cell(scores.get(key), f) for key, (_, f) in pairs.items()]
        lines.append([name, *cells])
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def _mean(values: list[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return sum(found) / len(found) if found else None


def _cell(value: float | None, form: str) -> str:
    return '' if value is None else format(value, form)
