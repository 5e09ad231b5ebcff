"""Progress of a sweep: a line for each event, and a bar on a terminal."""

import io
from typing import TextIO

from tqdm import tqdm

_FORMAT = '{n_fmt} of {total_fmt} runs ended{postfix} [{elapsed}<{remaining}]'


class SweepProgress:
    """Counts runs and estimates the time left.

    Args:
        total: runs of the sweep.
        done: runs that were done before.
        stream: for the lines; the bar appears if it is a terminal.
    """

    def __init__(self, total: int, done: int, stream: TextIO) -> None:
        self.failed = 0
        self.stream = stream
        self.bar = tqdm(
            total=total,
            initial=done,
            file=stream if stream.isatty() else io.StringIO(),
            bar_format=_FORMAT,
            smoothing=0,  # the mean over all runs
            mininterval=1,
            miniters=0,
        )

    def skip(self, count: int) -> None:
        """Count runs that were done before."""
        self.bar.initial += count
        self.bar.n += count

    def end(self, text: str, failed: bool) -> None:
        """Count a run that has ended.

        Args:
            text: line that says so.
            failed: the run was not successful.
        """
        self.failed += failed
        if self.failed:
            self.bar.set_postfix_str(f'{self.failed} failed', refresh=False)
        self.bar.update()
        self.say(text)

    def say(self, text: str) -> None:
        """Write a line, with the progress if there is no bar."""
        if self.stream.isatty():
            self.bar.write(text, file=self.stream)
        else:
            self.stream.write(f'{text} ({self.bar})\n')
            self.stream.flush()

    def tick(self) -> None:
        """Redraw the bar, at most once a second."""
        self.bar.update(0)

    def close(self) -> None:
        """Leave the bar as it is, and end its line."""
        self.bar.close()
