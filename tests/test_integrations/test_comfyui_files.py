"""Files that the nodes restore."""

from pathlib import Path

import pytest

from tests.test_integrations.comfy import Comfy, InterruptProcessingException
from tests.test_integrations.prompts import (
    FILE,
    USUAL,
    command,
    load_node,
    restore_file,
)
from tests.test_video.clips import pictures, write_clip


def test_a_file_gets_the_bytes_of_the_command(
    comfy: Comfy, tmp_path: Path
) -> None:
    src = comfy.folder / 'input' / 'film.mp4'
    write_clip(src, pictures(4, 32, 24), audio=0.2)
    command(src, tmp_path / 'film.mp4', '--seed', 3, '--crf', 20)
    values = {'seed': 3, 'crf': 20.0}
    got = restore_file(comfy, 'film.mp4', 'a/', 'tiny_compact', **values)
    path = comfy.folder / 'output' / 'a' / 'film.mp4'
    assert got['result'] == (str(path),)
    assert path.read_bytes() == (tmp_path / 'film.mp4').read_bytes()
    place = {'filename': 'film.mp4', 'subfolder': 'a', 'type': 'output'}
    assert got['ui']['images'] == [place]
    assert got['ui']['animated'] == [True]
    assert comfy.bar[-1] == (1000, 1000)
    assert [v for v, _ in comfy.bar] == sorted(v for v, _ in comfy.bar)


def test_a_folder_is_restored_whole(comfy: Comfy, tmp_path: Path) -> None:
    for name in ('one', 'two'):
        write_clip(tmp_path / f'{name}.mp4', pictures(2, 16, 16))
    got = restore_file(comfy, tmp_path, 'all/')
    folder = comfy.folder / 'output' / 'all'
    assert got['result'] == (str(folder),)
    names = sorted(path.name for path in folder.glob('*.mp4'))
    assert names == ['one.mp4', 'two.mp4']


def test_an_interrupted_file_goes_on(comfy: Comfy, tmp_path: Path) -> None:
    src = tmp_path / 'long.mkv'
    write_clip(src, pictures(70, 16, 16), codec='ffv1', pix_fmt='bgr0')
    command(src, tmp_path / 'out.mkv', '--config', 'bicubic', '--window', 4)

    def press_the_button() -> None:
        comfy.interrupted = comfy.bar[-1][0] > 800

    comfy.hook = press_the_button
    with pytest.raises(InterruptProcessingException):
        restore_file(comfy, src, 'b/out.mkv', window=4)
    kept = comfy.folder / 'output' / 'b' / '.out.mkv.star'
    assert any(kept.iterdir())
    assert comfy.calls[-1] == 'empty'
    comfy.hook, comfy.interrupted = (lambda: None), False
    comfy.bar.clear()
    restore_file(comfy, src, 'b/out.mkv', window=4)
    assert comfy.bar[0][0] > 500  # of the first run
    path = comfy.folder / 'output' / 'b' / 'out.mkv'
    assert path.read_bytes() == (tmp_path / 'out.mkv').read_bytes()


@pytest.mark.parametrize(
    ('source', 'result', 'message'),
    [
        ('none.mp4', 'a/', '{input}/none.mp4: no such file or folder'),
        ('', 'a/', '`source` must be a video, an image or a folder'),
        ('../x', 'a/', "`source` must be below {input}, got '../x'"),
        ('/', '../a/', "`result` must be below {output}, got '../a/'"),
        ('/', '/a.mp4', "`result` must be below {output}, got '/a.mp4'"),
    ],
)
def test_paths_are_checked_before_the_prompt_runs(
    comfy: Comfy, source: str, result: str, message: str
) -> None:
    inputs = {'source': source, 'result': result, 'method': ['1', 0]}
    prompt = {
        '1': load_node(),
        '2': {
            'class_type': 'STARRestoreFile',
            'inputs': {**USUAL, **FILE, **inputs},
        },
    }
    places = {k: comfy.folder / k for k in ('input', 'output')}
    assert comfy.check(prompt) == [message.format(**places)]


def test_a_file_runs_again_when_it_changes(comfy: Comfy) -> None:
    kind = comfy.nodes['STARRestoreFile']
    src = comfy.folder / 'input' / 'changing.mp4'
    write_clip(src, pictures(1, 16, 16))

    def stamp() -> str:
        return kind.IS_CHANGED(
            source=src.name, result='d/', method=None, **USUAL, **FILE
        )

    first = stamp()
    assert stamp() == first
    restore_file(comfy, src.name, 'd/')
    done = stamp()
    assert done != first
    (comfy.folder / 'output' / 'd' / src.name).unlink()
    assert stamp() == first
    write_clip(src, pictures(2, 16, 16))
    assert stamp() not in (first, done)
    assert kind.IS_CHANGED(source=None, result='d/', method=None) == ''
