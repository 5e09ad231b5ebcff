"""Folders of small pipelines, each made once by `star convert diffusers`."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from star.cli.main import main
from tests.test_apis.test_pipeline.models import write_cogvideox, write_i2vgen


@dataclass
class Family:
    """A model's config, its files, and the folder that was made of them."""

    config: Path
    files: Path
    folder: Path


def make(config: Path) -> Family:
    folder = config.parent / 'pipeline'
    words = ['convert', 'diffusers', config.parent, folder]
    assert main([*map(str, words), '--config', str(config)]) == 0
    return Family(config, config.parent, folder)


@pytest.fixture(scope='session')
def i2vgen(tmp_path_factory):
    return make(write_i2vgen(tmp_path_factory.mktemp('i2vgen')))


@pytest.fixture(scope='session')
def cogvideox(tmp_path_factory):
    pytest.importorskip('sentencepiece')
    return make(write_cogvideox(tmp_path_factory.mktemp('cogvideox')))


@pytest.fixture(params=['i2vgen', 'cogvideox'])
def family(request):
    return request.getfixturevalue(request.param)
