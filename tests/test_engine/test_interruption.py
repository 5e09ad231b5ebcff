"""What a process does with SIGTERM and Ctrl-C."""

import os
import signal

import pytest

from star.engine.interruption import Interruption, signal_name


@pytest.fixture
def handlers():
    """Restore the handlers of the tests."""
    both = (signal.SIGTERM, signal.SIGINT)
    before = {signum: signal.getsignal(signum) for signum in both}
    yield before
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.mark.parametrize('signum', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_noted(handlers, signum):
    interruption = Interruption()
    interruption.watch()
    interruption.watch()  # again, as the hook does after the command
    assert interruption.agreed() == 0
    os.kill(os.getpid(), signum)
    assert interruption.agreed() == signum
    interruption.unwatch()
    assert {s: signal.getsignal(s) for s in handlers} == handlers


def test_a_second_ctrl_c_ends_at_once(handlers):
    interruption = Interruption()
    interruption.watch()
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_what_ignores_ctrl_c_goes_on_ignoring_it(handlers):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    interruption = Interruption()
    interruption.watch()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    interruption.unwatch()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_names():
    assert signal_name(signal.SIGINT) == 'Ctrl-C'
    assert signal_name(signal.SIGTERM) == 'SIGTERM'
