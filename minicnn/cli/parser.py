"""What can be typed after `minicnn`, and what `--help` says about it."""

from __future__ import annotations

import argparse
import difflib
import importlib.metadata
import re
from collections.abc import Iterable
from typing import Any, NoReturn

from minicnn.cli.cost import EXAMPLES as COST_EXAMPLES
from minicnn.cli.cost import add_cost_flags
from minicnn.cli.doctor import doctor_command
from minicnn.cli.evaluate import evaluate_command
from minicnn.cli.exercise import EXAMPLES as EXERCISE_EXAMPLES
from minicnn.cli.exercise import add_exercise_flags
from minicnn.cli.experiment import EXAMPLES as EXPERIMENT_EXAMPLES
from minicnn.cli.experiment import add_experiment_flags
from minicnn.cli.explore import EXAMPLES as EXPLORE_EXAMPLES
from minicnn.cli.explore import add_explore_flags, explore_command
from minicnn.cli.failure import one_line
from minicnn.cli.flow import add_flow_flags, flow_command
from minicnn.cli.inspection import gradcheck_command
from minicnn.cli.look import LAYER, look_command
from minicnn.cli.predict import predict_command
from minicnn.cli.summary import EXAMPLES as SUMMARY_EXAMPLES
from minicnn.cli.summary import add_summary_flags, summary_command
from minicnn.cli.train import train_command
from minicnn.cli.train_flags import add_train_flags
from minicnn.cli.values import model_name, positive_whole_number
from minicnn.training.config import DATA, MODELS

TRAIN_EXAMPLES = """\
examples:
  minicnn train                                     the embedded shapes, about two minutes on two cores
  minicnn train --data cifar10                      downloads CIFAR-10 once
  minicnn train --data folder --data-dir photos     your own images, one subfolder a class
  minicnn train --data cifar10 --model googlenet    the published network, images enlarged to 224x224
  minicnn train --recipe caffe --epochs 20          a named recipe, one setting changed
  minicnn train --resume runs/googlenet-cifar-shapes-1
  minicnn train --epochs 1 --profile                where the time of a training step goes
  minicnn train --watch-gradients                   which head each layer's gradient comes from, over time
  minicnn train --overfit-one-batch                 when something does not learn: try this first
"""
EVAL_EXAMPLES = """\
examples:
  minicnn eval runs/googlenet-cifar-shapes-1
  minicnn eval runs/googlenet-cifar-cifar10-1/checkpoint.safetensors --split val
  minicnn eval runs/googlenet-cifar-cifar10-1 --data-dir /elsewhere/cifar-10-batches-bin
"""
PREDICT_EXAMPLES = """\
examples:
  minicnn predict runs/googlenet-cifar-cifar10-1 cat.jpg dog.png

An image that cannot be read is reported in one line, the others are named, and the exit status is 2.
"""
LOOK_EXAMPLES = """\
examples:
  minicnn look runs/googlenet-cifar-cifar10-1 cat.jpg
  minicnn look runs/googlenet-cifar-cifar10-1 cat.jpg --class dog --layer inception4e --out cat-as-dog
"""
FLOW_EXAMPLES = """\
examples:
  minicnn flow                                    googlenet-cifar at initialisation, on the embedded shapes
  minicnn flow runs/googlenet-cifar-cifar10-1 --png flow.png
  minicnn flow googlenet --layers "inception4?"
  minicnn flow --activation sigmoid --format csv
  minicnn flow my_network.py:make                 a network of your own, for colour images
  minicnn flow --experiment injection             what the auxiliary heads are for; four minutes
"""
GRADCHECK_EXAMPLES = """\
examples:
  minicnn gradcheck                   every op, and a small GoogLeNet with both heads
  minicnn gradcheck --op conv2d
  minicnn gradcheck --model googlenet-cifar
"""
DOCTOR_EXAMPLES = """\
examples:
  minicnn doctor
  minicnn doctor --device cuda && minicnn train --device cuda
"""


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong in one line, instead of printing the whole usage before it."""

    def error(self, message: str) -> NoReturn:
        """Exit with status 2."""
        wrong = re.fullmatch(r".*invalid choice: '([^']*)' \(choose from (.*)\)", message)
        if wrong:
            message += _meant(wrong[1], re.findall(r"[^\s,']+", wrong[2]))
        self.exit(2, f"minicnn: error: {one_line(message)} (see {self.prog} --help)\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse what is not known here, where the flags are known, not in the parser of the first word."""
        options, unknown = super().parse_known_args(args, namespace)
        if unknown:
            flag = unknown[0].partition("=")[0]
            self.error(
                f"unrecognized arguments: {' '.join(unknown)}{_meant(flag, self._option_string_actions)}"
            )
        return options, unknown


def _meant(typed: str, known: Iterable[str]) -> str:
    """Ask for what is nearly what was typed, if anything is."""
    near = difflib.get_close_matches(typed, known, n=1, cutoff=0.75)
    return f"; did you mean '{near[0]}'?" if near else ""


def build_parser() -> argparse.ArgumentParser:
    """Make the parser; the parsed options have the function to call as `command`."""
    parser = OneLineParser(
        prog="minicnn",
        description="Train GoogLeNet, and look inside it, with a framework written from scratch in NumPy.",
        epilog="minicnn COMMAND --help explains a command. To begin with: minicnn train",
        allow_abbrev=False,
    )
    version = importlib.metadata.version("minicnn")
    parser.add_argument("--version", action="version", version=f"minicnn {version}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, summary: str, examples: str) -> argparse.ArgumentParser:
        return commands.add_parser(
            name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.", epilog=examples,
            formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
        )  # fmt: skip

    train = add("train", "train a network, or continue a run", TRAIN_EXAMPLES)
    train.usage = "minicnn train [options]\n       minicnn train --resume DIR"  # all flags would fill a page
    add_train_flags(train)
    train.set_defaults(command=train_command)

    evaluate = add("eval", "measure a trained network", EVAL_EXAMPLES)
    evaluate.add_argument(
        "checkpoint", metavar="CHECKPOINT_OR_RUN", help="checkpoint file or folder of a run"
    )
    evaluate.add_argument("--data", choices=DATA, help="data set (default: the run's)")
    evaluate.add_argument("--data-dir", metavar="DIR", help="folder of the data (default: the run's)")
    evaluate.add_argument(
        "--split", choices=("test", "val"), default="test",
        help="test images, or those the run held back for validation (default: test)",
    )  # fmt: skip
    add_machine_flags(evaluate)
    evaluate.set_defaults(command=evaluate_command)

    predict = add("predict", "name what is on images", PREDICT_EXAMPLES)
    predict.add_argument("checkpoint", metavar="CHECKPOINT_OR_RUN", help="checkpoint file or folder of a run")
    predict.add_argument("images", metavar="IMAGE", nargs="+", help="image file")
    add_machine_flags(predict)
    predict.set_defaults(command=predict_command)

    look = add("look", "draw what a trained network looks at in an image", LOOK_EXAMPLES)
    look.add_argument("checkpoint", metavar="CHECKPOINT_OR_RUN", help="checkpoint file or folder of a run")
    look.add_argument("image", metavar="IMAGE", help="image file")
    look.add_argument(
        "--class", metavar="NAME", dest="class_name",
        help="the class to explain (default: the one the network predicts)",
    )  # fmt: skip
    look.add_argument(
        "--layer", metavar="MODULE", default=LAYER,
        help=f"the module whose maps Grad-CAM shows, see minicnn summary (default: {LAYER})",
    )  # fmt: skip
    look.add_argument(
        "--out", metavar="FOLDER",
        help="folder for the pictures; replaces those in it (default: look/ and the image's name)",
    )  # fmt: skip
    add_machine_flags(look)
    look.set_defaults(command=look_command)

    summary = add(
        "summary", "list a network's layers with shapes, parameters and operations", SUMMARY_EXAMPLES
    )
    add_summary_flags(summary)
    summary.set_defaults(command=summary_command)

    add_cost_flags(add("cost", "say what a design costs, against what it replaces", COST_EXAMPLES))

    flow = add(
        "flow", "show how large the gradient of each layer is, and which head it comes from", FLOW_EXAMPLES
    )
    add_flow_flags(flow)
    flow.set_defaults(command=flow_command)

    experiment = add("experiment", "try out what lectures say about the network", EXPERIMENT_EXAMPLES)
    add_experiment_flags(experiment)

    explore = add("explore", "write a page on which one steps backward through a network", EXPLORE_EXAMPLES)
    add_explore_flags(explore)
    explore.set_defaults(command=explore_command)

    gradcheck = add("gradcheck", "compare hand-written gradients with numerical ones", GRADCHECK_EXAMPLES)
    what = gradcheck.add_mutually_exclusive_group()
    what.add_argument("--op", metavar="NAME", help="check this op only (default: all, and a small network)")
    what.add_argument(
        "--model", metavar="NAME", type=model_name, choices=MODELS,
        help="check a small version of this network only",
    )  # fmt: skip
    gradcheck.set_defaults(command=gradcheck_command)

    exercise = add(
        "exercise",
        "write backward passes, graded with hints; find the mistakes of others",
        EXERCISE_EXAMPLES,
    )
    add_exercise_flags(exercise)

    doctor = add(
        "doctor",
        "say whether this machine's GPU can be used, and what to type if not",
        DOCTOR_EXAMPLES,
    )
    doctor.add_argument(
        "--device", metavar="DEVICE", default="cpu",
        help="cuda or cuda:NUMBER: exit with status 2 if that GPU cannot be used (default: cpu)",
    )  # fmt: skip
    doctor.set_defaults(command=doctor_command)
    return parser


def add_machine_flags(parser: argparse.ArgumentParser) -> None:
    """Add --device and --threads."""
    parser.add_argument(
        "--device", metavar="DEVICE", default="cpu",
        help="where to compute: cpu, cuda, or cuda:N for GPU number N (default: cpu)",
    )  # fmt: skip
    parser.add_argument(
        "--threads", metavar="N", type=positive_whole_number,
        help="threads to use; results do not depend on it (default: the cores this process may use)",
    )  # fmt: skip
