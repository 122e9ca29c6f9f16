"""Images and labels as NumPy arrays: data sets, splits, and the loader that makes batches of them.

Data sets are uint8 arrays (N, H, W, 3) with int64 labels (N,). Nothing here knows of tensors or networks.
"""

from minicnn.data.cifar10 import CIFAR10_CLASS_NAMES, load_cifar10
from minicnn.data.dataset import DATASET_NAMES, Dataset, load
from minicnn.data.download import CIFAR10_MD5, CIFAR10_URL, cache_folder, fetch_cifar10
from minicnn.data.folder import load_folder
from minicnn.data.image_file import read_image
from minicnn.data.loader import Batch, Loader
from minicnn.data.normalisation import Normalisation
from minicnn.data.resize import resize_bilinear
from minicnn.data.shape_images import SHAPE_CLASS_NAMES, load_shapes
from minicnn.data.splits import split_validation

__all__ = [
    "load",
    "Dataset",
    "DATASET_NAMES",
    "load_shapes",
    "SHAPE_CLASS_NAMES",
    "load_cifar10",
    "fetch_cifar10",
    "cache_folder",
    "CIFAR10_CLASS_NAMES",
    "CIFAR10_URL",
    "CIFAR10_MD5",
    "load_folder",
    "read_image",
    "resize_bilinear",
    "split_validation",
    "Normalisation",
    "Loader",
    "Batch",
]
