"""Layers and blocks of networks: `from minicnn import nn`."""

from minicnn.nn.auxiliary_head import AuxiliaryHead
from minicnn.nn.googlenet_output import GoogLeNetOutput, total_loss
from minicnn.nn.inception import Inception, NaiveInception
from minicnn.nn.initialisers import caffe_xavier, glorot_uniform, he_normal
from minicnn.nn.layers import (
    AvgPool2d,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    ReLU,
)
from minicnn.nn.module import LoadReport, Module, Parameter, Sequential, in_mode
from minicnn.nn.schemes import initialise

__all__ = [
    "AuxiliaryHead",
    "AvgPool2d",
    "Conv2d",
    "Dropout",
    "Flatten",
    "GlobalAvgPool2d",
    "GoogLeNetOutput",
    "Inception",
    "Linear",
    "LoadReport",
    "LocalResponseNorm",
    "MaxPool2d",
    "Module",
    "NaiveInception",
    "Parameter",
    "ReLU",
    "Sequential",
    "caffe_xavier",
    "glorot_uniform",
    "he_normal",
    "in_mode",
    "initialise",
    "total_loss",
]
