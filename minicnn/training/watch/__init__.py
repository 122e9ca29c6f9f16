"""The watch: looks on at a training, knows how this network fails, and says so in words."""

from minicnn.training.watch.examination import Examination, examine
from minicnn.training.watch.failures import FAILURES, Failure
from minicnn.training.watch.findings import FINDINGS, Finding
from minicnn.training.watch.news import News
from minicnn.training.watch.plateau import PlateauWatch
from minicnn.training.watch.training_watch import TrainingWatch

__all__ = [
    "FAILURES",
    "FINDINGS",
    "Examination",
    "Failure",
    "Finding",
    "News",
    "PlateauWatch",
    "TrainingWatch",
    "examine",
]
