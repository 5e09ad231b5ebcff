"""`star convert lpips` on graphs written by hand."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from star.cli.convert.lpips import convert
from tests.paths import WEIGHTS
from tests.test_cli.conftest import Star


def varint(value: int) -> bytes:
    out = []
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(number: int, content: bytes | int) -> bytes:
    """Encode a field of a protocol-buffer message."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def constant(name: str, tensor: Tensor) -> bytes:
    dims = b''.join(field(1, side) for side in tensor.shape)
    raw = field(9, tensor.numpy().tobytes())
    return field(5, dims + field(2, 1) + field(8, name.encode()) + raw)


def model(tensors: dict[str, Tensor]) -> bytes:
    graph = b''.join(constant(*item) for item in tensors.items())
    integers = field(1, 2) + field(2, 7) + field(8, b'axes')
    graph += field(5, integers + field(9, bytes(16)))  # int64: left out
    return field(1, 8) + field(7, graph) + b'\x49' + bytes(8)


def head_name(index: int) -> str:
    return f'lins.{index}.model.1.weight'


def lpips_graph() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    tensors = {'in_mean': torch.zeros(1, 3, 1, 1)}
    for i in range(7):
        head, trunk = torch.rand(1, 4 + i, 1, 1), torch.rand(200, 3)
        head.normal_(generator=generator)
        tensors[f'core.{head_name(i)}'] = head
        tensors[f'core.net.slice{i + 1}.0.weight'] = trunk
    return tensors


def test_writes_what_the_graph_holds(tmp_path: Path):
    tensors = lpips_graph()
    (tmp_path / 'a.onnx').write_bytes(model(tensors))
    convert(tmp_path / 'a.onnx', tmp_path / 'a.safetensors')
    state = load_file(tmp_path / 'a.safetensors')
    assert len(state) == 3 * 7
    for i in range(7):
        head = tensors[f'core.{head_name(i)}']
        assert torch.equal(state[head_name(i)], head)
        assert torch.equal(state[f'lin{i}.model.1.weight'], head)
        name = f'net.slice{i + 1}.0.weight'
        assert torch.equal(state[name], tensors[f'core.{name}'])


def test_a_part_of_the_graph_is_refused(tmp_path: Path):
    tensors = lpips_graph()
    del tensors['core.net.slice3.0.weight']
    (tmp_path / 'a.onnx').write_bytes(model(tensors))
    with pytest.raises(ValueError, match=r'a\.onnx: not a complete graph'):
        convert(tmp_path / 'a.onnx', tmp_path / 'a.safetensors')
    assert not (tmp_path / 'a.safetensors').exists()


@pytest.mark.parametrize(
    'content', [b'', b'no graph at all', model(lpips_graph())[:-9]]
)
def test_other_files_are_refused(star: Star, tmp_path: Path, content: bytes):
    source = tmp_path / 'a.onnx'
    source.write_bytes(content[:3000])
    done = star('convert', 'lpips', source, tmp_path / 'a.safetensors')
    assert 'a.onnx: not a' in done.error
    assert [p.name for p in tmp_path.iterdir()] == ['a.onnx']


def test_paths_are_checked(star: Star, tmp_path: Path):
    source, target = tmp_path / 'a.onnx', tmp_path / 'a.safetensors'
    source.write_bytes(model(lpips_graph()))
    for src, dst, message in (
        (tmp_path / 'none.onnx', target, 'no such file'),
        (source, tmp_path / 'a.pth', 'must end in .safetensors'),
        (source, tmp_path / 'none' / 'a.safetensors', 'no such folder'),
    ):
        assert message in star('convert', 'lpips', src, dst).error
    done = star('convert', 'lpips', source, target)
    assert done.code == 0 and '21 tensors' in done.out
    again = star('convert', 'lpips', source, target)
    assert 'exists (use --overwrite)' in again.error


def test_real_graph_fits_the_package(tmp_path: Path):
    package = pytest.importorskip('lpips', reason='the extra `metrics`')
    source = WEIGHTS / 'lpips-squeeze.onnx' if WEIGHTS else None
    if source is None or not source.is_file():
        pytest.skip('no lpips-squeeze.onnx (set STAR_WEIGHTS)')
    convert(source, tmp_path / 'a.safetensors')
    state = load_file(tmp_path / 'a.safetensors')
    network = package.LPIPS(net='squeeze', pnet_rand=True, verbose=False)
    # the package ships its heads; its trunk is to be downloaded
    for name, tensor in network.state_dict().items():
        if name.startswith(('lin', 'scaling')):
            assert torch.equal(tensor, state[name]), name
    network.load_state_dict(state, strict=True)
