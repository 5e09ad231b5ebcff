"""The container: what it copies, installs and starts exists. No engine."""

import ast
import re
import shutil
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from mmengine.fileio import load

from star.cli.main import COMMANDS, make_parser
from tests.commands import find_problem
from tests.paths import ROOT
from tests.test_packaging import FILES, FOLDERS, read_config

DOCKERFILE = (ROOT / 'Dockerfile').read_text(encoding='utf-8')
WORKFLOW = ROOT / '.github' / 'workflows' / 'ci.yml'


def instructions(name: str) -> list[str]:
    """List the arguments of an instruction; lines that go on are joined."""
    text = re.sub(r'\\\n\s*', '', DOCKERFILE)
    return re.findall(rf'^{name} (.+)$', text, re.M)


def copied() -> set[str]:
    """Collect the paths that are copied from the checkout."""
    found = set()
    for line in instructions('COPY'):
        if '--from' not in line:
            found |= {*line.split()[:-1]}
    return found


def ignored(path: str, rules: list[str]) -> bool:
    """Return whether .dockerignore leaves out a path at the top."""
    last = [rule for rule in rules if rule.lstrip('!/') in ('*', path)][-1]
    return not last.startswith('!')


@pytest.fixture(scope='module')
def compose() -> dict:
    return load(ROOT / 'compose.yml', file_format='yaml')


def test_hadolint_has_nothing_to_say():
    program = Path(sys.executable).with_name('hadolint')
    if not program.is_file():
        pytest.skip('hadolint is not installed')
    done = subprocess.run(
        [program, ROOT / 'Dockerfile'], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, '')


def test_all_that_is_copied_exists_and_is_not_ignored():
    text = (ROOT / '.dockerignore').read_text(encoding='utf-8')
    rules = [line for line in text.split('\n') if line and line[0] != '#']
    for path in copied():
        assert (ROOT / path).exists() and not ignored(path, rules), path
    for path in ('.git', '.venv', 'data', 'tests', 'work_dirs'):
        assert ignored(path, rules)


def test_all_that_a_wheel_is_made_of_is_copied():
    assert {*FOLDERS, *FILES, 'constraints.txt'} == copied()


def test_extras_exist(compose: dict):
    extras = read_config()['options.extras_require']
    (default,) = re.findall('^ARG EXTRAS=(.*)$', DOCKERFILE, re.M)
    arguments = compose['services']['app']['build']['args']
    for names in (default, arguments['EXTRAS']):
        assert set(names.split(',')) <= set(extras), names
    known = {line.partition('=')[0] for line in instructions('ARG')}
    assert arguments.keys() <= known


def test_the_command_is_ours_and_nobody_is_root():
    assert instructions('ENTRYPOINT') == ['["star"]']
    scripts = read_config()['options.entry_points']['console_scripts']
    assert scripts.strip().startswith('star = ')
    assert instructions('USER') == ['1000:1000']
    (volume,) = instructions('VOLUME')
    homes = dict(re.findall(r'(\w+)=(\S+)', instructions('ENV')[-1]))
    for name in ('HOME', 'HF_HOME', 'TORCH_HOME', 'MPLCONFIGDIR'):
        assert homes[name].startswith(volume), name


def test_compose_starts_the_app(compose: dict):
    app = compose['services']['app']
    name, *words = app['command']
    assert name in COMMANDS
    args = make_parser(name).parse(words)
    (port,) = app['ports']
    assert port == f'127.0.0.1:{args.port}:{args.port}'
    assert (args.host, args.browser) == ('0.0.0.0', False)
    places = dict(volume.split(':') for volume in app['volumes'])
    assert args.folder.is_relative_to(places['jobs'])
    assert places['cache'] == instructions('VOLUME')[0]
    assert places.keys() == compose['volumes'].keys()
    other = compose['services']['app-gpu']
    assert other['extends']['service'] in compose['services']


class Page(BaseHTTPRequestHandler):
    """Answers with a code."""

    code = 200

    def do_GET(self) -> None:
        self.send_response(self.code)
        self.end_headers()

    def log_message(self, *words: object) -> None:
        pass


@pytest.mark.parametrize(('code', 'healthy'), [(200, True), (500, False)])
def test_the_health_check(compose: dict, monkeypatch, code, healthy):
    app = compose['services']['app']
    kind, python, option, check = app['healthcheck']['test']
    assert (kind, python, option) == ('CMD', 'python', '-c')
    ast.parse(check)
    monkeypatch.setattr(Page, 'code', code)
    monkeypatch.setenv('NO_PROXY', '127.0.0.1')
    with HTTPServer(('127.0.0.1', 0), Page) as server:
        Thread(target=server.handle_request, daemon=True).start()
        here = check.replace(':7860/', f':{server.server_address[1]}/')
        assert here != check
        done = subprocess.run([sys.executable, '-c', here], timeout=60)
    assert (done.returncode == 0) == healthy


def test_the_workflow_restores_a_clip(compose: dict):
    steps = load(WORKFLOW)['jobs']['container']['steps']
    text = re.sub(r'\\\n\s*', '', '\n'.join(s.get('run', '') for s in steps))
    commands = re.findall(r'star-vsr (restore .*)', text)
    assert len(commands) == 2
    for command in commands:
        assert find_problem(f'star {command}') is None
    assert re.findall('compose (?:build|up .*) (.*)', text) == ['app', 'app']
    for path in re.findall(r'cp (\S+) ', text):
        assert (ROOT / path).is_file()
    if shutil.which('bash'):
        subprocess.run(['bash', '-n', '-c', text], check=True)
    assert compose['services']['app']['image'] == 'star-vsr'
