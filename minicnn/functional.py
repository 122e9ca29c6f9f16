"""The public functions of minicnn, re-exported from `minicnn.ops`: `from minicnn import functional as F`."""

from minicnn.ops.arithmetic import add, divide, multiply, negate, power, subtract
from minicnn.ops.avg_pool import avg_pool2d
from minicnn.ops.concat import concat
from minicnn.ops.conv import conv2d
from minicnn.ops.conv_relu import conv2d_relu
from minicnn.ops.cross_entropy import cross_entropy
from minicnn.ops.dropout import dropout
from minicnn.ops.elementwise import exp, log, sqrt
from minicnn.ops.global_avg_pool import global_avg_pool2d
from minicnn.ops.inception import inception
from minicnn.ops.linear import linear
from minicnn.ops.log_softmax import log_softmax
from minicnn.ops.lrn import local_response_norm
from minicnn.ops.matmul import matmul
from minicnn.ops.max_pool import max_pool2d
from minicnn.ops.reductions import max, mean, sum
from minicnn.ops.relu import relu
from minicnn.ops.shaping import flatten, getitem, reshape, transpose
from minicnn.ops.sigmoid import sigmoid
from minicnn.ops.softmax import softmax
from minicnn.ops.tanh import tanh

__all__ = [
    "add",
    "avg_pool2d",
    "concat",
    "conv2d",
    "conv2d_relu",
    "inception",
    "cross_entropy",
    "divide",
    "dropout",
    "exp",
    "flatten",
    "getitem",
    "global_avg_pool2d",
    "linear",
    "local_response_norm",
    "log",
    "log_softmax",
    "matmul",
    "max",
    "max_pool2d",
    "mean",
    "multiply",
    "negate",
    "power",
    "relu",
    "reshape",
    "sigmoid",
    "softmax",
    "sqrt",
    "subtract",
    "sum",
    "tanh",
    "transpose",
]
