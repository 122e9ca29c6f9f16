"""What a user might write into own.py: factories of networks, good and bad."""

NETWORKS = """
from __future__ import annotations
import sys
from dataclasses import dataclass

from minicnn import functional as F
from minicnn import Tensor, nn
import numpy as np

@dataclass
class Sizes:
    classes: int = 10

class Net(nn.Module):
    def __init__(self, classes=7, channels=3):
        super().__init__()
        self.stem = nn.Conv2d(channels, 4, 3, padding=1, activation="relu")
        self.block = nn.Inception(4, 2, 2, 3, 1, 2, 2)
        self.fc = nn.Linear(9, classes)

    def forward(self, x):
        return self.fc(F.global_avg_pool2d(self.block(self.stem(x))))

def seven(): return Net()
def shapes(): return Net(classes=10)
def grey(): return Net(channels=1)
def stages():
    net = Net()
    net.fc = nn.ReLU()
    net.forward = lambda x: net.stem(x)
    return net
def broken():
    net = Net()
    net.fc = None
    return net
def beside():
    from beside_own import FACTOR
    return Net(classes=10 * FACTOR)
def stops(): sys.exit(4)
def stops_later():
    net = Net()
    net.forward = lambda x: sys.exit(4)
    return net
def trains_itself():
    net = Net()
    net.train = lambda data: None
    return net
def returning(what):
    net = Net()
    net.forward = lambda x: what
    return net
def no_logits(): return returning(nn.GoogLeNetOutput(None, None, None))
def lists(): return returning(nn.GoogLeNetOutput([1.0], None, None))
def no_classes(): return returning(Tensor(np.ones((1, 0))))
def nan():
    net = Net()
    net.fc.bias.data[...] = np.nan
    return net
def heads():
    net, small = Net(classes=10), nn.Linear(9, 3)
    net.small = small
    def forward(x):
        h = F.global_avg_pool2d(net.block(net.stem(x)))
        return nn.GoogLeNetOutput(net.fc(h), None, small(h))
    net.forward = forward
    return net
class Sized(Net):
    input_size = (24, 24, 3)
class OddlySized(Net):
    input_size = (0, 0, 3)
class Failing(Exception):
    def __str__(self): raise KeyError
class Property(Net):
    @property
    def input_size(self): raise Failing
def misfit():
    net = Net()
    net.fc = nn.Linear(8, 7)
    return net
"""
