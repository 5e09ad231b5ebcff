"""The code of docs/diffusers.md, run in order."""

import pytest

from tests.documents import read_document
from tests.paths import ROOT


@pytest.mark.slow
def test_code_of_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    blocks = read_document(ROOT / 'docs' / 'diffusers.md').python
    assert len(blocks) == 4
    for block in blocks:
        exec(block, names)
    assert (tmp_path / 'my_pipeline' / 'model_index.json').is_file()
    weights = tmp_path / 'my_lora' / 'pytorch_lora_weights.safetensors'
    assert weights.is_file()
