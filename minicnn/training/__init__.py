"""Training: recipes, the loop, checkpoints and the run folder."""

from minicnn.training.checkpoint import Checkpoint, DataFacts, load_checkpoint, save_checkpoint
from minicnn.training.config import Config, describe
from minicnn.training.free_folder import claim_free_folder
from minicnn.training.gradient_watch import GradientWatch
from minicnn.training.keeper import NotKeptError
from minicnn.training.loop import NonFiniteLossError, train
from minicnn.training.metrics import HEADS, Figures, evaluate
from minicnn.training.newest_checkpoint import LoadedCheckpoint, find_checkpoint
from minicnn.training.overfit import overfit_one_batch
from minicnn.training.recipes import RECIPES, Recipe, find_recipe
from minicnn.training.run_folder import RunFolder
from minicnn.training.smaller_batches import SmallerBatches
from minicnn.training.splits import Images, Splits, load_images, make_splits
from minicnn.training.stopping import StopRequest, TrainingStopped

__all__ = [
    "HEADS",
    "RECIPES",
    "Checkpoint",
    "Config",
    "DataFacts",
    "Figures",
    "GradientWatch",
    "Images",
    "LoadedCheckpoint",
    "NonFiniteLossError",
    "NotKeptError",
    "Recipe",
    "RunFolder",
    "SmallerBatches",
    "Splits",
    "StopRequest",
    "TrainingStopped",
    "claim_free_folder",
    "describe",
    "evaluate",
    "find_checkpoint",
    "find_recipe",
    "load_checkpoint",
    "load_images",
    "make_splits",
    "overfit_one_batch",
    "save_checkpoint",
    "train",
]
