"""The command `star` in the process of the tests."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from star.cli.main import main


@dataclass
class Result:
    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line of wrong use."""
        assert (self.code, self.out) == (2, ''), self
        assert self.err.startswith('error: ') and self.err.count('\n') == 1
        return self.err.removeprefix('error: ').rstrip('\n')


Star = Callable[..., Result]


@pytest.fixture
def star(capsys: pytest.CaptureFixture) -> Star:
    """Call the command; give its exit code, output and errors."""

    def call(*words: object) -> Result:
        capsys.readouterr()
        try:
            code = main([str(word) for word in words])
        except SystemExit as end:
            code = int(end.code or 0)
        return Result(code, *capsys.readouterr())

    return call
