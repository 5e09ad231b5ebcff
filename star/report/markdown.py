"""A comparison as Markdown."""

import re

from star.report.comparison import Comparison
from star.report.remarks import Remark
from star.report.tables import (
    Item,
    Table,
    explanation,
    method_table,
    set_tables,
)

# <ins>: Markdown has no underline, and the sites that show it allow this tag
_MARKS = {
    '': '{}',
    'best': '**{}**',
    'second': '<ins>{}</ins>',
    'better': '{} better',
    'worse': '{} worse',
    'printed': '*{}*',
}


def to_markdown(comparison: Comparison, remarks: list[Remark]) -> str:
    """Return the explanation, the tables of scores, warnings and methods."""
    blocks = ['# Comparison', explanation(comparison)]
    for each in comparison.sets:
        for i, table in enumerate(set_tables(comparison, each)):
            blocks += [f'{"###" if i else "##"} {escape(table.title)}']
            blocks.append(markdown_table(table))
    if remarks:
        lines = [f'- {r.level}: {escape(r.text)}.' for r in remarks]
        blocks += ['## Warnings', '\n'.join(lines)]
    table = method_table(comparison)
    blocks += [f'## {table.title}', markdown_table(table)]
    return '\n\n'.join(blocks) + '\n'


def escape(text: str) -> str:
    """Return text on one line that is neither Markdown nor HTML."""
    text = ' '.join(text.split())
    text = text.replace('&', '&amp;').replace('<', '&lt;')
    return re.sub(r'([\\`*_\[\]|>#])', r'\\\1', text)


def markdown_table(table: Table) -> str:
    """Return a table as Markdown, with its remark below."""
    lines = [[escape(title) for title in table.head]]
    lines.append(['---', *['---:'] * (len(table.head) - 1)])
    lines += [[_cell(item) for item in row] for row in table.rows]
    text = '\n'.join(f'| {" | ".join(line)} |' for line in lines)
    return f'{text}\n\n{escape(table.remark)}.' if table.remark else text


def _cell(item: Item) -> str:
    text = _MARKS[item.mark].format(escape(item.text))
    return f'{text} {escape(item.note)}' if item.note else text
