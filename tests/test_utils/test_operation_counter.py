"""Operations, counted while code runs."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from star.utils.operation_counter import ATTENTION, OperationCounter


class Net(nn.Module):
    """Layers of all kinds that count."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.line = nn.Linear(8, 16)

    def forward(self, x):
        x = self.conv(x).flatten(2).transpose(1, 2)
        x = self.line(x)[:, None]
        x = F.scaled_dot_product_attention(x, x, x)[:, 0]
        return (x @ x.transpose(1, 2)).mean()


def test_counts_a_linear_layer():
    layer, x = nn.Linear(5, 7), torch.zeros(2, 3, 5)
    for inference in (False, True):
        with torch.inference_mode(inference), OperationCounter() as counter:
            layer(x)
        assert counter.total == 2 * 6 * 5 * 7
        assert counter.tflop == 420e-12


def test_counts_products_that_go_to_onednn():
    x, weight = torch.zeros(2, 3, 5), torch.zeros(7, 5)
    with torch.no_grad(), OperationCounter() as counter:
        torch.ops.mkldnn._linear_pointwise(x, weight, None, 'none', [], '')
    assert counter.total == 2 * 6 * 5 * 7


@pytest.mark.parametrize('device', ['cpu', 'meta'])
@pytest.mark.parametrize('inference', [False, True])
def test_counts_as_torch_does(device, inference):
    with torch.device(device):
        net, x = Net(), torch.zeros(2, 3, 8, 8)
    found = []
    for counter in (
        OperationCounter(),
        FlopCounterMode(display=False, custom_mapping=ATTENTION),
    ):
        with torch.inference_mode(inference), counter:
            loss = net(x)
            if not inference:
                loss.backward()
        found.append(
            counter.total
            if isinstance(counter, OperationCounter)
            else counter.get_total_flops()
        )
    assert found[0] == found[1] > 0
