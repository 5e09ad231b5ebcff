"""Exceptions as lines for people."""

# their messages are written for people; others need the class beside them
_PLAIN = (ImportError, MemoryError, OSError, RuntimeError, ValueError)


def error_line(error: BaseException) -> str:
    """Return an exception's message on one line.

    Args:
        error: any; the class precedes the message of an unusual one, and
            stands for a missing message.
    """
    text = ' '.join(str(error).split())
    if isinstance(error, _PLAIN) and text:
        return text
    return f'{type(error).__name__}: {text}'.removesuffix(': ')
