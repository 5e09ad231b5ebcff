import sys
from textwrap import indent

import numpy as np
import pytest
from mmengine.config import Config
from tensorboard.backend.event_processing.event_accumulator import (
    EventAccumulator,
)

from star.engine.vis_backends import TensorBoardBackend
from tests.test_engine.watched import losses, run, watched_config


def read(folder):
    return EventAccumulator(str(folder)).Reload()


def test_scalars_are_on_the_disk_at_once(tmp_path):
    backend = TensorBoardBackend(str(tmp_path))
    backend.add_scalars(
        {'a': 1.5, 'b/c': np.float64(2)}, step=7, file_path='x'
    )
    backend.add_scalar('a', 3, 8)
    events = read(tmp_path)  # the file is still open
    assert [(e.step, e.value) for e in events.Scalars('a')] == [
        (7, 1.5),
        (8, 3.0),
    ]
    assert [(e.step, e.value) for e in events.Scalars('b/c')] == [(7, 2.0)]
    backend.close()


def test_images_and_the_config(tmp_path):
    backend = TensorBoardBackend(str(tmp_path))
    backend.add_image('i', np.zeros((4, 6, 3), np.uint8), 2)
    config = Config({'a': {'b': 1}})
    backend.add_config(config)
    backend.close()
    events = read(tmp_path)
    (image,) = events.Images('i')
    assert (image.step, image.height, image.width) == (2, 4, 6)
    (text,) = events.Tensors('config/text_summary')
    assert 'b=1' in config.pretty_text
    shown = indent(config.pretty_text, ' ' * 4).strip('\n')  # as code
    assert shown.encode() in text.tensor_proto.string_val[0]


def test_nothing_is_made_before_the_first_use(tmp_path):
    backend = TensorBoardBackend(str(tmp_path / 'events'))
    backend.close()
    assert not list(tmp_path.iterdir())


def test_a_run_goes_on_without_tensorboard(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'torch.utils.tensorboard', None)
    config = watched_config(tmp_path, 2, log_level='WARNING')
    runner, events = run(config)
    assert len(losses(runner)) == 2
    assert not events.Tags()['scalars']
    backend = runner.visualizer.get_backend('TensorBoardBackend')
    assert backend.experiment is None
    backend.add_image('i', np.zeros((4, 6, 3), np.uint8), 2)
    log = ''.join(capsys.readouterr())
    assert log.count('TensorBoard is not installed') == 1


@pytest.mark.parametrize('name', ['LocalVisBackend', 'TensorBoardBackend'])
def test_each_kind_can_be_alone(tmp_path, name):
    config = watched_config(
        tmp_path, 1, visualizer={'vis_backends': [{'type': name}]}
    )
    assert len(losses(run(config)[0])) == 1
