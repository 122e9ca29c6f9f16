"""What a user might write into own.py: factories of networks, good and bad."""

NETWORKS = """
from minicnn import functional as F
from minicnn import nn

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
def misfit():
    net = Net()
    net.fc = nn.Linear(8, 7)
    return net
"""
