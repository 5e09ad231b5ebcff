"""A stand-in for ComfyUI that follows its published interface.

It loads a folder of nodes as ComfyUI's loader does, checks a prompt, and runs
it in a thread and in inference mode.
"""

import importlib.util
import inspect
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from tests.paths import ROOT

NODES = ROOT / 'integrations' / 'comfyui'
_TYPES = {'INT': int, 'FLOAT': float, 'STRING': str, 'BOOLEAN': bool}


class InterruptProcessingException(BaseException):
    """Raised by ComfyUI where the user has pressed the button."""


class Comfy:
    """ComfyUI in a folder of its own.

    Args:
        folder: with `custom_nodes`, `input`, `output` and `models`.

    Attributes:
        nodes: classes of the loaded nodes by name.
        titles: what the user sees.
        loaded: modules of the folder that its import has loaded.
        calls: what was asked of the memory management.
        bar: values of the progress bar.
        cache: results of nodes that need not run again.
        hook: called at each value; it may interrupt.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ('custom_nodes', 'input', 'output', 'models'):
            (folder / name).mkdir()
        self.nodes: dict[str, type] = {}
        self.titles: dict[str, str] = {}
        self.loaded: set[str] = set()
        self.calls: list[str] = []
        self.bar: list[tuple[int, int]] = []
        self.hook: Callable[[], None] = lambda: None
        self.interrupted = False
        self._models: dict[str, list[str]] = {}
        self.cache: dict[str, tuple[Any, dict, Any]] = {}

    def modules(self) -> dict[str, ModuleType]:
        """Make the modules that nodes import."""
        comfy = ModuleType('comfy')
        comfy.model_management = self._management()
        comfy.utils = ModuleType('comfy.utils')
        comfy.utils.ProgressBar = self._progress_bar()
        return {
            'comfy': comfy,
            'comfy.model_management': comfy.model_management,
            'comfy.utils': comfy.utils,
            'folder_paths': self._folders(),
        }

    def _management(self) -> ModuleType:
        found = ModuleType('comfy.model_management')
        found.InterruptProcessingException = InterruptProcessingException
        cpu = torch.device('cpu')
        for name in (
            'get_torch_device',
            'unet_offload_device',
            'intermediate_device',
        ):
            setattr(found, name, lambda: cpu)
        found.unload_all_models = lambda: self.calls.append('unload')
        found.soft_empty_cache = lambda force=False: self.calls.append('empty')
        found.throw_exception_if_processing_interrupted = self._throw
        return found

    def _throw(self) -> None:
        if self.interrupted:
            self.interrupted = False
            raise InterruptProcessingException

    def _progress_bar(self) -> type:
        comfy = self

        class ProgressBar:
            def __init__(self, total: int, node_id: str | None = None) -> None:
                self.total = total

            def update_absolute(
                self, value: int, total: int | None = None, preview: Any = None
            ) -> None:
                comfy.bar.append((value, total or self.total))
                comfy.hook()

        return ProgressBar

    def _folders(self) -> ModuleType:
        found = ModuleType('folder_paths')
        places = {k: str(self.folder / k) for k in ('input', 'output')}
        found.models_dir = str(self.folder / 'models')
        found.get_input_directory = lambda: places['input']
        found.get_output_directory = lambda: places['output']
        found.add_model_folder_path = lambda name, path, is_default=False: (
            self._models.setdefault(name, []).append(path)
        )
        found.get_folder_paths = lambda name: self._models[name][:]

        def annotated_filepath(name: str) -> tuple[str, str | None]:
            for kind, place in places.items():
                if name.endswith(f'[{kind}]'):
                    return name[: -len(kind) - 3], place
            return name, None

        found.annotated_filepath = annotated_filepath
        return found

    def load(self, source: Path = NODES) -> None:
        """Copy a folder to `custom_nodes` and load it."""
        path = self.folder / 'custom_nodes' / 'star-nodes.v1'
        shutil.copytree(
            source, path, ignore=shutil.ignore_patterns('__pycache__')
        )
        name = str(path).replace('.', '_x_')
        spec = importlib.util.spec_from_file_location(
            name, os.path.join(path, '__init__.py')
        )
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        self.loaded = {
            key.removeprefix(f'{name}.')
            for key in sys.modules
            if key.startswith(f'{name}.')
        }
        self.nodes |= module.NODE_CLASS_MAPPINGS
        self.titles |= module.NODE_DISPLAY_NAME_MAPPINGS

    def check(self, prompt: dict[str, dict]) -> list[str]:
        """Return what is wrong with a prompt, before it runs."""
        return [
            problem
            for node in prompt.values()
            for problem in self._check_node(prompt, node)
        ]

    def _check_node(self, prompt: dict, node: dict) -> Iterator[str]:
        kind = self.nodes[node['class_type']]
        inputs, types = node['inputs'], kind.INPUT_TYPES()
        validate = getattr(kind, 'VALIDATE_INPUTS', None)
        asked = inspect.getfullargspec(validate).args if validate else []
        every = {**types['required'], **types.get('optional', {})}
        for name in types['required'].keys() - inputs.keys():
            yield f'{name}: required input is missing'
        for name in every.keys() & inputs.keys():
            if isinstance(inputs[name], list):
                yield from self._check_link(prompt, inputs, name, every[name])
                continue
            inputs[name] = self._convert(inputs[name], every[name][0])
            if name not in asked:
                yield from self._check_value(name, inputs[name], *every[name])
        if validate:
            answer = validate(**self._constants(inputs, asked))
            if answer is not True:
                yield str(answer)

    def _check_link(
        self, prompt: dict, inputs: dict, name: str, spec: tuple
    ) -> Iterator[str]:
        source, slot = inputs[name]
        other = self.nodes[prompt[source]['class_type']]
        if other.RETURN_TYPES[slot] != spec[0]:
            yield f'{name}: return type mismatch between linked nodes'

    def _convert(self, value: Any, wanted: Any) -> Any:
        known = isinstance(wanted, str) and wanted in _TYPES
        return _TYPES[wanted](value) if known else value

    def _check_value(
        self, name: str, value: Any, wanted: Any, settings: dict
    ) -> Iterator[str]:
        if isinstance(wanted, list) and value not in wanted:
            yield f'{name}: {value!r} not in list'
        if value < settings.get('min', value):
            yield f'{name}: value smaller than min'
        if value > settings.get('max', value):
            yield f'{name}: value bigger than max'

    def _constants(self, inputs: dict, names: Any) -> dict[str, Any]:
        """Return inputs by name, with None for those of other nodes."""
        return {
            name: None if isinstance(inputs[name], list) else inputs[name]
            for name in names
            if name in inputs
        }

    def run(self, prompt: dict[str, dict], output: str) -> Any:
        """Run a prompt up to a node, in a thread of its own.

        Returns:
            What the node returned.

        Raises:
            BaseException: as ComfyUI would show it.
        """
        assert self.check(prompt) == []
        found: list[Any] = []

        def work() -> None:
            try:
                with torch.inference_mode():
                    found.append(self._run_node(prompt, output))
            except BaseException as error:
                found.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        if isinstance(found[0], BaseException):
            raise found[0]
        return found[0]

    def _run_node(self, prompt: dict, name: str) -> Any:
        node = prompt[name]
        kind = self.nodes[node['class_type']]
        constants = self._constants(node['inputs'], node['inputs'])
        changed = getattr(kind, 'IS_CHANGED', lambda **_: '')(**constants)
        inputs = dict(node['inputs'])
        for key, value in inputs.items():
            if isinstance(value, list):
                result = self._run_node(prompt, value[0])
                if isinstance(result, dict):
                    result = result['result']
                inputs[key] = result[value[1]]
        linked = {k: v for k, v in inputs.items() if constants[k] is None}
        key = changed, kind, constants
        if name in self.cache:
            known, before, result = self.cache[name]
            same = all(before.get(k) is v for k, v in linked.items())
            if known == key and same:
                return result
        result = getattr(kind(), kind.FUNCTION)(**inputs)
        self.cache[name] = key, linked, result
        return result


class Given:
    """Gives a value to other nodes, as a node that loads images does."""

    RETURN_TYPES: tuple[str, ...] = ('IMAGE',)
    FUNCTION = 'give'
    value: Any = None

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {'required': {}}

    @classmethod
    def IS_CHANGED(cls) -> float:
        return float('nan')

    def give(self) -> tuple[Any]:
        return (self.value,)


def given(kind: str, value: Any) -> type:
    """Make the class of a node that gives a value."""
    fields = {'RETURN_TYPES': (kind,), 'value': value}
    return type('Given', (Given,), fields)


@contextmanager
def started(folder: Path) -> Iterator[Comfy]:
    """Start ComfyUI in an empty folder."""
    comfy = Comfy(folder)
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        for name, module in comfy.modules().items():
            patch.setitem(sys.modules, name, module)
        yield comfy
    for name in set(sys.modules) - before:
        if name.startswith(str(folder).replace('.', '_x_')):
            del sys.modules[name]


def module_of(comfy: Comfy, name: str) -> ModuleType:
    """Return a module of the loaded folder."""
    return sys.modules[f'{comfy.nodes["STARRestore"].__module__[:-5]}{name}']
