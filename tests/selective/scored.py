"""A module that is not easy to score, and the head of a net."""

from torch import nn

from skalss.selective.scoring import Head


class Uneasy(nn.Module):
    """Registers its layers out of order, one of them never run, and gives a second output."""

    def __init__(self, softmax=False):
        super().__init__()
        self.top = nn.Linear(8, 3)
        self.bottom = nn.Linear(5, 8)
        self.unused = nn.Linear(8, 3)
        self.softmax = softmax

    def forward(self, X):
        z = self.top(self.bottom(X).relu())
        return (z.softmax(dim=1) if self.softmax else z), X


def find(net, rows, *args, **kwargs):
    return Head.find(net.initialize(), rows, *args, **kwargs)
