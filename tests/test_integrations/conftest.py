"""The stand-in for ComfyUI with the nodes loaded."""

from collections.abc import Iterator

import pytest

from tests.test_integrations.comfy import Comfy, started


@pytest.fixture(scope='module')
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comfy]:
    with started(tmp_path_factory.mktemp('ComfyUI')) as comfy:
        comfy.load()
        yield comfy


@pytest.fixture
def comfy(loaded: Comfy) -> Comfy:
    for each in (loaded.calls, loaded.bar, loaded.cache):
        each.clear()
    loaded.hook, loaded.interrupted = (lambda: None), False
    return loaded
