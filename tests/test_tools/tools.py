"""Tools as modules and as processes."""

import importlib.util
import os
import subprocess
import sys
from types import ModuleType

from tests.paths import ROOT

TOOLS = ROOT / 'tools'


def load_tool(path: str) -> ModuleType:
    """Import a file of `tools/` without running it."""
    spec = importlib.util.spec_from_file_location('tool', TOOLS / path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_tool(path: str, *args: object) -> subprocess.CompletedProcess:
    """Run a file of `tools/` as a process of its own, without network."""
    return subprocess.run(
        [sys.executable, TOOLS / path, *map(str, args)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, 'HF_HUB_OFFLINE': '1'},
    )
