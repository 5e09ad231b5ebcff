"""A clip that several test files read."""

import pytest

from tests.test_video.clips import pictures, write_clip


@pytest.fixture(scope='session')
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp('clip') / 'clip.mp4'
    options = {'g': '5', 'bf': '2', 'crf': '10'}
    container = {'movflags': 'faststart'}
    return write_clip(path, pictures(20), options=options, container=container)
