"""`star restore` in two processes; see tests/ranks.py."""

import os
from collections.abc import Callable
from pathlib import Path
from threading import RLock

import pytest
import torch
from tqdm import tqdm

from star.apis import init_model
from star.apis.inference.build import take_random
from star.cli import restore as command
from star.cli import restore_team
from star.cli.main import main
from star.models.editors.real_esrgan.real_esrgan import RealESRGAN
from star.utils import distributed
from star.utils.distributed import Calls, ProcessPlace
from tests.ranks import run_ranks
from tests.test_apis.clips import write_clip

OPTIONS = ['--codec', 'png', '--window', '1']


@pytest.fixture
def clip(tmp_path: Path) -> list[str]:
    """Six frames in two scenes; return the words that restore them."""
    source = write_clip(tmp_path / 'in.mkv', 6, (8, 12))
    (tmp_path / 'cuts').write_text('3\n')
    return ['restore', str(source), '--cuts', str(tmp_path / 'cuts'), *OPTIONS]


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> RealESRGAN:
    """Let the command use a network of random numbers, which shares work."""
    network = RealESRGAN(num_blocks=1).eval()
    take_random(network)
    for module in (command, restore_team):
        monkeypatch.setattr(module, 'init_model', lambda *_: network)
    return network


def together(
    words: list[str], prepare: Callable = lambda: None, ranks: int = 2
) -> int:
    """Run a command in processes; `prepare` is called in the second."""

    def work() -> int:
        torch.set_num_threads(1)
        # a thread of the parent may hold the lock, and does not live here
        tqdm.set_lock(RLock())
        tqdm.monitor_interval = 0
        os.environ['TORCHELASTIC_RUN_ID'] = 'test'
        if os.environ['RANK'] == '1':
            prepare()
        return main(words)

    return run_ranks(work, ranks)


def read(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_result_has_the_bytes_of_one_process(
    model: RealESRGAN,
    clip: list[str],
    tmp_path: Path,
    capfd: pytest.CaptureFixture,
) -> None:
    assert together([*clip, str(tmp_path / 'one')], ranks=1) == 0
    assert together([*clip, str(tmp_path / 'two')]) == 0
    found = read(tmp_path / 'two')
    assert len(found) == 6 and found == read(tmp_path / 'one')
    # of each run the leader alone prints
    assert capfd.readouterr().err.count(': 32x48, 6 frames in ') == 2


def test_a_process_ends_and_another_number_goes_on(
    model: RealESRGAN,
    clip: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture,
) -> None:
    monkeypatch.setattr(distributed, 'SIGNALS', 0)
    serve = restore_team.serve

    def die_in_the_second_scene() -> None:
        calls: list[str] = []

        def dying(helper: Calls) -> Calls:
            def call(name: str, args: tuple) -> object:
                calls.append(name)
                return helper(name, args) if len(calls) < 2 else os._exit(0)

            return call

        monkeypatch.setattr(
            restore_team, 'serve', lambda helper: serve(dying(helper))
        )

    words = [*clip, str(tmp_path / 'two')]
    assert together(words, die_in_the_second_scene) == 1
    err = capfd.readouterr().err
    assert 'process 1 of 2 has ended; 3 restored frames are kept' in err
    assert 'Traceback' not in err
    assert together(words, ranks=1) == 0
    assert '3 frames were restored by an earlier run' in capfd.readouterr().err
    assert together([*clip, str(tmp_path / 'one')], ranks=1) == 0
    assert read(tmp_path / 'two') == read(tmp_path / 'one')


def test_a_process_that_cannot_load_ends_all(
    model: RealESRGAN,
    clip: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture,
) -> None:
    def refuse(*_: object) -> None:
        raise ValueError('process 1 has no GPU')

    def prepare() -> None:
        monkeypatch.setattr(restore_team, 'init_model', refuse)

    assert together([*clip, str(tmp_path / 'out')], prepare) == 2
    assert capfd.readouterr().err.count('error: process 1 has no GPU\n') == 1


def test_what_cannot_be_shared_runs_in_one(
    clip: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture,
) -> None:
    bicubic = init_model('bicubic', device='cpu')
    for module in (command, restore_team):
        monkeypatch.setattr(module, 'init_model', lambda *_: bicubic)
    assert together([*clip, str(tmp_path / 'out')]) == 0
    assert len(read(tmp_path / 'out')) == 6
    err = capfd.readouterr().err
    assert 'works in one process; 1 more do nothing' in err


@pytest.mark.parametrize(
    ('wanted', 'gpus', 'size', 'device'),
    [
        ('cuda:1', 2, 1, 'cuda:1'),
        (None, 2, 2, 'cuda:1'),
        ('cuda', 2, 2, 'cuda:1'),
        (None, 0, 2, None),
        ('cpu', 2, 2, 'cpu'),
        ('cuda', 0, 2, 'cuda:1'),  # refused by what says why
    ],
)
def test_each_process_has_its_gpu(
    monkeypatch: pytest.MonkeyPatch,
    wanted: str | None,
    gpus: int,
    size: int,
    device: str | None,
) -> None:
    place = ProcessPlace(1, 1, size)
    monkeypatch.setattr(restore_team, 'find_place', lambda: place)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: gpus)
    assert restore_team.choose_device(wanted) == device


def test_too_few_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    place = ProcessPlace(2, 2, 3)
    monkeypatch.setattr(restore_team, 'find_place', lambda: place)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    with pytest.raises(ValueError, match='process 2 has no GPU'):
        restore_team.choose_device('cuda')
    with pytest.raises(ValueError, match='cuda:1 is one GPU'):
        restore_team.choose_device('cuda:1')
