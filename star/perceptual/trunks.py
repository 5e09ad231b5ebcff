"""Convolutions of ImageNet classifiers, named as in torchvision's files.

Krizhevsky 2014, Simonyan and Zisserman 2014, Iandola et al. 2016.
"""

import torch
from torch import Tensor, nn

# width of each convolution, 0 for halving
_VGG = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, *(512, 512, 512, 0) * 2)


def alex() -> nn.Sequential:
    """Build the features of AlexNet."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, 4, 2),
        _relu(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2),
        _relu(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1),
        _relu(),
        nn.Conv2d(384, 256, 3, padding=1),
        _relu(),
        nn.Conv2d(256, 256, 3, padding=1),
        _relu(),
    )


def vgg() -> nn.Sequential:
    """Build the features of VGG16."""
    layers: list[nn.Module] = []
    before = 3
    for width in _VGG:
        if not width:
            layers.append(nn.MaxPool2d(2))
            continue
        layers += [nn.Conv2d(before, width, 3, padding=1), _relu()]
        before = width
    return nn.Sequential(*layers)


def squeeze() -> nn.Sequential:
    """Build the features of SqueezeNet 1.1."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 3, 2),
        _relu(),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        _Fire(64, 16, 64),
        _Fire(128, 16, 64),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        _Fire(128, 32, 128),
        _Fire(256, 32, 128),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        _Fire(256, 48, 192),
        _Fire(384, 48, 192),
        _Fire(384, 64, 256),
        _Fire(512, 64, 256),
    )


class _Fire(nn.Module):
    """SqueezeNet's block: few channels, then many of two kernel sizes."""

    def __init__(self, before: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(before, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x).relu_()
        return torch.cat([self.expand1x1(x), self.expand3x3(x)], 1).relu_()


def _relu() -> nn.Module:
    return nn.ReLU(inplace=True)


BUILDERS = {'alex': alex, 'vgg': vgg, 'squeeze': squeeze}
