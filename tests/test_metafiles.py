"""model-index.yml and metafile.yml: what `mim search` shows of each config."""

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from mmengine.fileio import load

from star.models.editors.weight_files import FILES
from star.report.published import load_published
from star.utils.paths import config_root
from tests.config_rows import AGAIN
from tests.paths import ROOT
from tests.test_configs import build

IMPORTS = load(ROOT / 'model-index.yml')['Import']
FOLDERS = sorted({p.parent.name for p in config_root().glob('[!_]*/*.py')})
every_metafile = pytest.mark.parametrize('name', IMPORTS)


@lru_cache
def read(name: str) -> dict[str, Any]:
    return load(ROOT / name)


MODELS = [model for name in IMPORTS for model in read(name)['Models']]


def config_name(model: dict[str, Any]) -> str:
    return model['Config'].removeprefix('configs/')


def row(model: dict[str, Any]) -> Any:
    """Mark a model of full size whose networks are those of another."""
    slow = [pytest.mark.slow] * bool(AGAIN.match(config_name(model)))
    return pytest.param(model, marks=slow, id=model['Name'])


every_model = pytest.mark.parametrize('model', [row(m) for m in MODELS])


def test_every_folder_has_a_metafile_and_a_readme():
    assert [f'configs/{name}/metafile.yml' for name in FOLDERS] == IMPORTS
    for name in FOLDERS:
        assert (config_root() / name / 'README.md').is_file()


@every_metafile
def test_every_config_is_named_once(name: str):
    named = [config_name(model) for model in read(name)['Models']]
    folder = Path(name).parent
    there = [
        path.relative_to(config_root()).as_posix()
        for path in (ROOT / folder).glob('*.py')
    ]
    assert sorted(named) == sorted(there)


@every_metafile
def test_collections_name_their_readme_and_paper(name: str):
    (collection,) = read(name)['Collections']
    assert collection['README'] == f'{Path(name).parent}/README.md'
    assert collection['Metadata']['Architecture']
    paper = collection.get('Paper', {'Title': 'none', 'URL': 'https://'})
    assert paper['Title'] and paper['URL'].startswith('https://')
    models = {model['In Collection'] for model in read(name)['Models']}
    assert models == {collection['Name']}


def test_names_are_unique():
    names = [model['Name'] for model in MODELS]
    names += [c['Name'] for name in IMPORTS for c in read(name)['Collections']]
    assert len(names) == len(set(names))


@every_model
def test_results_say_where_they_are_from(model: dict[str, Any]):
    for result in model.get('Results', []):
        assert result['Task'] == 'Video Super-Resolution'
        assert re.search(r' \((published|measured)\)$', result['Dataset'])
        numbers = result['Metrics'].values()
        assert numbers and all(isinstance(n, float) for n in numbers)


def published_results() -> list[tuple[str, str, dict[str, float]]]:
    return [
        (model['Name'], result['Dataset'].split()[0], result['Metrics'])
        for model in MODELS
        for result in model.get('Results', [])
        if result['Dataset'].endswith('(published)')
    ]


METHODS = {
    'dbvsr': 'DBVSR',
    'mgld_vsr': 'MGLD-VSR',
    'realbasicvsr': 'RealBasicVSR',
    'realviformer': 'RealViformer',
    'resshift_v3': 'ResShift',
    'stablesr': 'StableSR',
    'star_cogvideox_2b': 'STAR (CogVideoX-2B)',
    'star_cogvideox_5b': 'STAR (CogVideoX-5B)',
    'star_i2vgen': 'STAR (I2VGen-XL)',
    'upscale_a_video': 'Upscale-A-Video',
}


def test_published_results_are_all_of_the_paper():
    tables = load_published()
    expected = {
        (name, dataset): methods[method]
        for name, method in METHODS.items()
        for dataset, methods in tables.items()
        if method in methods
    }
    found = {
        (name, sets): scores for name, sets, scores in published_results()
    }
    assert found == expected


def test_measured_results_stand_in_the_table_of_methods():
    page = (ROOT / 'docs' / 'methods.md').read_text(encoding='utf-8')
    _, _, text = page.partition('## Measured side by side')
    rows = re.findall(r'^\| `(\w+)` \|(.*)', text, re.MULTILINE)
    expected = {
        name: [float(cell.strip(' *')) for cell in row.split('|')[:5]]
        for name, row in rows
    }
    found = {
        model['Name']: [*result['Metrics'].values()]
        for model in MODELS
        for result in model.get('Results', [])
        if result['Dataset'] == 'synthetic6 (measured)'
    }
    assert found == expected


@every_model
def test_parameters_are_those_of_the_network(model: dict[str, Any]):
    if 'Parameters' not in model.get('Metadata', {}):
        pytest.skip('no number of parameters')
    network = build(config_name(model))
    parts = ('network', 'backbone', 'controlnet', 'unet', 'transformer')
    count = sum(
        parameter.numel()
        for name, parameter in network.named_parameters()
        if name.startswith(parts) and '.lora.' not in name
    )
    assert model['Metadata']['Parameters'] == count


@every_model
def test_weights_are_the_published_ones(model: dict[str, Any]):
    entry = FILES.get(getattr(build(config_name(model)), 'weights', None))
    if entry is None:
        pytest.skip('no published file of a method to compare with')
    assert entry.url == model['Weights'] or model['Weights'] in entry.source
