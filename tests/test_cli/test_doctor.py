"""`star doctor` in this environment, and in broken ones."""

import json
import sys
from importlib import metadata

import pytest

from star import __version__
from star.cli import doctor
from tests.test_cli.conftest import Star


def names(report: dict, section: str) -> dict[str, str | None]:
    return {each['name']: each['found'] for each in report[section]}


def test_report(star: Star):
    done = star('doctor', '--json')
    assert (done.code, done.err) == (0, '')
    report = json.loads(done.out)
    assert report['broken'] == []
    versions = names(report, 'versions')
    assert versions['torch'] == metadata.version('torch')
    assert str(versions['star']).startswith(__version__)
    assert 'GiB free' in str(names(report, 'devices')['cpu'])
    encoders = names(report, 'FFmpeg encoders')
    assert encoders['libx264'] and encoders['ffv1'] and encoders['png']
    assert set(names(report, 'extras')) == {
        *('metrics', 'pyiqa', 'baselines', 'cogvideox'),
        *('heic', 'onnx', 'study', 'sweeps', 'tests'),
        *('app', 'diffusers', 'docs', 'ray'),
    }
    weights = names(report, 'weights')
    shipped = 'star_tiny_compact.safetensors (finetune_folder, tiny_compact)'
    assert str(weights[shipped]).endswith('star_tiny_compact.safetensors')
    assert 'lpips_alex.pth' in weights and 'RealESRGAN_x4plus.pth' in weights


def test_what_is_missing_comes_with_a_hint(
    star: Star, monkeypatch: pytest.MonkeyPatch
):
    real = doctor.version_of
    monkeypatch.setattr(
        doctor,
        'version_of',
        lambda name: None if name == 'mmagic' else real(name),
    )
    lines = star('doctor').out.splitlines()
    (line,) = (line for line in lines if line.startswith('  baselines '))
    assert line.endswith('missing: mmagic; pip install "star-vsr[baselines]"')


def test_a_missing_requirement_is_broken(
    star: Star, monkeypatch: pytest.MonkeyPatch
):
    found, real = {'torch': '2.1', 'einops': None}, doctor.version_of
    monkeypatch.setattr(
        doctor,
        'version_of',
        lambda name: found[name] if name in found else real(name),
    )
    done = star('doctor')
    assert done.code == 1
    broken = [x for x in done.err.splitlines() if x.startswith('broken: ')]
    assert len(broken) == 2
    assert any('torch>=' in x and '2.1 is here' in x for x in broken)
    assert any('einops is missing' in x for x in broken)


def test_works_without_torch(star: Star, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, 'torch', None)
    done = star('doctor')
    assert done.code == 1
    assert 'broken: torch cannot be imported' in done.err
    assert 'libx264' in done.out and 'Traceback' not in done.err


def test_works_from_files_that_are_not_installed(
    star: Star, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(doctor, 'PACKAGE', 'no-such-package')
    assert star('doctor').code == 0
