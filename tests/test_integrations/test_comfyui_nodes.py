"""The nodes are as ComfyUI wants them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

import star
from star.apis import PublishOptions, publish_model
from star.utils.paths import asset_path
from tests.test_integrations.comfy import (
    NODES,
    Comfy,
    module_of,
    started,
)
from tests.test_integrations.prompts import as_images, restore_images
from tests.test_video.clips import pictures


def test_the_loader_finds_the_nodes(comfy: Comfy) -> None:
    assert comfy.titles == {
        'STARLoadMethod': 'STAR: load method',
        'STAROptions': 'STAR: more options',
        'STARRestore': 'STAR: restore',
        'STARRestoreFile': 'STAR: restore file',
    }
    assert comfy.nodes.keys() >= comfy.titles.keys()
    configs = comfy.nodes['STARLoadMethod'].INPUT_TYPES()['required']['config']
    assert configs[0][0] == 'tiny_compact'
    assert {'i2vgen', 'cogvideox_5b', 'bicubic'} <= {*configs[0]}


def test_nodes_are_as_the_interface_wants_them(comfy: Comfy) -> None:
    for kind in map(comfy.nodes.get, comfy.titles):
        assert callable(getattr(kind, kind.FUNCTION))
        assert kind.CATEGORY == 'STAR'
        assert len(kind.RETURN_TYPES) == len(kind.RETURN_NAMES)
        types = kind.INPUT_TYPES()
        assert types.keys() <= {'required', 'optional'}
        widgets = {**types['required'], **types.get('optional', {})}
        json.dumps(widgets)  # they are sent to the browser
        for wanted, settings in (v for v in widgets.values() if len(v) > 1):
            default = settings.get('default')
            if isinstance(wanted, list):
                assert default in wanted
            elif wanted in ('INT', 'FLOAT'):
                assert settings['min'] <= default <= settings['max']


def test_loading_the_nodes_is_quick(comfy: Comfy) -> None:
    """What imports torch and more is loaded when a node runs."""
    assert comfy.loaded == {'nodes', 'host', 'inputs'}


def test_one_module_knows_comfyui() -> None:
    names = re.compile(r'^(?:import|from) (?:comfy|folder_paths)', re.M)
    found = {p.name for p in NODES.glob('*.py') if names.search(p.read_text())}
    assert found == {'host.py'}


def test_without_the_package_a_line_says_so(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr('importlib.util.find_spec', lambda _: None)
    with started(tmp_path) as comfy:
        comfy.load()
        assert comfy.nodes == {}
    assert [record.getMessage() for record in caplog.records] == [
        'the STAR nodes need the package star: run `pip install star-vsr` '
        "with ComfyUI's Python"
    ]


def test_weights_may_lie_in_the_folder_of_models(comfy: Comfy) -> None:
    host = module_of(comfy, 'host')
    folder = comfy.folder / 'models' / 'star'
    folder.mkdir(exist_ok=True)
    (folder / 'own.pt').touch()
    assert host.find_weights('own.pt') == str(folder / 'own.pt')
    assert host.find_weights('heavy') == 'heavy'


def test_a_published_model_takes_the_place_of_a_config(
    comfy: Comfy, tmp_path: Path
) -> None:
    folder = comfy.folder / 'models' / 'star' / 'mine'
    folder.parent.mkdir(exist_ok=True)
    source = asset_path('star_tiny_compact.safetensors')
    publish_model(source, folder, PublishOptions(config='tiny_compact'))
    images = as_images(pictures(2, 16, 16))
    wanted = restore_images(comfy, images, 'tiny_compact')[0]
    comfy.cache.clear()
    got = restore_images(comfy, images, published='mine')[0]
    assert torch.equal(got, wanted)
    config = tmp_path / 'own.py'
    config.write_text('raise SystemExit')
    with pytest.raises(ValueError, match='`published` must be hf://OWNER'):
        restore_images(comfy, images, published=str(config))


def widgets_of(kind: type) -> list[tuple[Any, dict[str, Any]]]:
    """List the widgets of a node; inputs that are only linked are none."""
    types = kind.INPUT_TYPES()
    every = {**types['required'], **types.get('optional', {})}.values()
    with_settings = [spec for spec in every if len(spec) > 1]
    return [s for s in with_settings if not s[1].get('forceInput')]


@pytest.mark.parametrize('name', ['restore_file', 'restore_images'])
def test_examples_are_made_of_these_nodes(comfy: Comfy, name: str) -> None:
    text = (NODES / 'example_workflows' / f'{name}.json').read_text()
    workflow = json.loads(text)
    nodes = {node['id']: node for node in workflow['nodes']}
    own = [n for n in nodes.values() if n['type'] in comfy.titles]
    assert len(own) == 2
    for node in own:
        widgets = widgets_of(comfy.nodes[node['type']])
        for value, (kind, settings) in zip(
            node['widgets_values'], widgets, strict=True
        ):
            same = type(value) is type(settings['default'])
            assert value in kind if isinstance(kind, list) else same
        types = comfy.nodes[node['type']].INPUT_TYPES()
        linked = {**types['required'], **types.get('optional', {})}
        assert all(linked[i['name']][0] == i['type'] for i in node['inputs'])
    for link, source, slot, target, at, kind in workflow['links']:
        out, into = nodes[source]['outputs'][slot], nodes[target]['inputs'][at]
        assert link in out['links']
        assert link == into['link']
        assert out['type'] == into['type'] == kind


def test_the_registry_gets_the_version_of_the_package() -> None:
    text = (NODES / 'pyproject.toml').read_text(encoding='utf-8')
    settings = pytest.importorskip('tomllib').loads(text)
    assert settings['project']['version'] == star.__version__
    assert settings['project']['dependencies'] == ['star-vsr']
    assert re.fullmatch('[a-z][a-z0-9-]{1,98}', settings['project']['name'])
    assert settings['tool']['comfy'].keys() >= {'PublisherId', 'DisplayName'}
    requirements = (NODES / 'requirements.txt').read_text().split()
    assert requirements == settings['project']['dependencies']
