"""Text in one line for a terminal, and numbers that texts hold."""

import re

# control characters, line ends, and the bytes of names that are no UTF-8
_HIDDEN = re.compile('[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]')


def one_line(text: object) -> str:
    """Return text with control characters written out, such as \\n."""
    return _HIDDEN.sub(lambda found: ascii(found[0])[1:-1], str(text))


def read_number(text: str) -> float | None:
    """Return a text as a number; None for any other text."""
    try:
        return float(text)
    except ValueError:
        return None
