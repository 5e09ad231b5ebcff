"""The pairs KEY=VALUE of `--cfg-options` as values."""

import ast
from collections.abc import Iterator, Sequence
from typing import Any

_CLOSING = {'[': ']', '(': ')', '{': '}'}
_CALL = 'dict('
_DEEPEST = 20  # brackets in one another
_CONSTANTS = {'true': True, 'false': False, 'None': None}


def read_changes(pairs: Sequence[str]) -> dict[str, Any]:
    """Parse the pairs of --cfg-options.

    Args:
        pairs: `KEY=VALUE`. A value is a number, true, false, None, a word,
            a list `[1,2]` or `1,2`, a tuple `(1,2)`, or a dictionary as
            Python writes it, `{'a': 1}` or `dict(a=1)`; text in quotes stays
            as it is.

    Raises:
        ValueError: a pair cannot be parsed; the line names it.
    """
    changes = {}
    for pair in pairs:
        key, equals, text = pair.partition('=')
        if not (key and equals):
            raise ValueError(
                '--cfg-options takes KEY=VALUE pairs of numbers, words, '
                f'[lists] and dictionaries, got {pair!r}'
            )
        try:
            changes[key] = read_value(text.strip())
        except ValueError as error:
            raise ValueError(f'--cfg-options {pair}: {error}') from None
    return changes


def read_value(text: str) -> Any:
    """Parse a value of --cfg-options.

    Raises:
        ValueError: a bracket or a quote is not closed, or what stands between
            braces is no dictionary.
    """
    first = text[:1]
    if first in ('"', "'") and text.endswith(first) and len(text) > 1:
        inner = text[1:-1]
        whole = inner[:1] in _CLOSING or inner.startswith(_CALL)
        return read_value(inner) if whole else inner
    if text.startswith(_CALL) and not text.endswith(')'):
        raise ValueError("'(' is not closed")
    if text.startswith(_CALL) and len(list(_split(text))) == 1:
        return _read_dictionary(text)
    if first in _CLOSING:
        if not text.endswith(_CLOSING[first]):
            raise ValueError(f'{first!r} is not closed')
        if first == '{':
            return _read_dictionary(text)
        items = [read_value(item) for item in _split(text[1:-1])]
        return tuple(items) if first == '(' else items
    items = list(_split(text))
    if len(items) > 1 or text.endswith(','):
        return [read_value(item) for item in items]
    return _read_word(text)


def _read_dictionary(text: str) -> dict:
    try:
        found = ast.literal_eval(
            _NoCalls().visit(ast.parse(text, mode='eval'))
        )
    except (MemoryError, RecursionError, SyntaxError, TypeError, ValueError):
        found = None
    if not isinstance(found, dict) or not all(
        isinstance(key, str) for key in found
    ):
        raise ValueError(
            "no dictionary; write one as {'KEY': VALUE}, or a pair "
            'NAME.KEY=VALUE for each key'
        )
    return found


class _NoCalls(ast.NodeTransformer):
    """Replaces dict(a=1) by {'a': 1}; other calls stay, to be refused."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        values = {each.arg: each.value for each in node.keywords}
        once = None not in values and len(values) == len(node.keywords)
        if ast.unparse(node.func) != 'dict' or node.args or not once:
            return node
        return ast.Dict([*map(ast.Constant, values)], [*values.values()])


def _split(text: str) -> Iterator[str]:
    """Yield what stands between the commas outside of brackets and quotes."""
    start, open_ = 0, ''  # closing signs that are still to come
    for place, char in enumerate(text):
        if char == ',' and not open_:
            yield text[start:place].strip()
            start = place + 1
        else:
            begins = not text[start:place].strip(' [({')
            open_ = _follow(open_, char, begins)
    if open_:
        raise ValueError(f'{open_[-1]!r} is missing')
    if text[start:].strip():
        yield text[start:].strip()


def _follow(open_: str, char: str, begins: bool) -> str:
    """Return the signs that are still to come after a character."""
    if open_[-1:] in ('"', "'"):
        return open_[:-1] if char == open_[-1] else open_
    if char in ('"', "'") and begins:
        return open_ + char
    if char in _CLOSING:
        if len(open_) == _DEEPEST:
            raise ValueError('brackets are nested too deeply')
        return open_ + _CLOSING[char]
    if char not in _CLOSING.values():
        return open_
    if char != open_[-1:]:
        raise ValueError(f'{char!r} closes nothing')
    return open_[:-1]


def _read_word(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    known = text if text == 'None' else text.lower()
    return _CONSTANTS.get(known, text)
