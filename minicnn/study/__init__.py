"""What a student looks through: a network's layers with their cost and what they see.

    from minicnn import models, study
    print(study.summarize(models.googlenet(), (1, 224, 224, 3)))

Everything is computed from the graph that a real forward pass leaves behind, never from a second
description of the network.
"""

from minicnn.study.attribution import attribute_gradients
from minicnn.study.branches import BranchScores, branch_scores
from minicnn.study.certificate import Certificate, compare_with_paper
from minicnn.study.certificate_rows import Entry, Reading
from minicnn.study.experiments.injection import Injection, Measurement
from minicnn.study.explorer import explore
from minicnn.study.flow import GradientFlow, gradient_flow
from minicnn.study.flow_row import FlowRow
from minicnn.study.layer_rows import LayerRow
from minicnn.study.lecture_cases import lecture_cases
from minicnn.study.looking import (
    Look,
    draw_look,
    filter_grid,
    first_filters,
    grad_cam,
    input_gradient,
    saliency,
)
from minicnn.study.network_costs import compare_networks
from minicnn.study.stages import StageRow
from minicnn.study.summary import Summary, summarize
from minicnn.study.worked_costs import (
    Design,
    WorkedCost,
    classifier_cost,
    convolution_cost,
    module_cost,
    pooling_cost,
    stack_cost,
)

__all__ = [
    "explore",
    "attribute_gradients",
    "gradient_flow",
    "GradientFlow",
    "FlowRow",
    "BranchScores",
    "branch_scores",
    "Injection",
    "Measurement",
    "LayerRow",
    "StageRow",
    "Summary",
    "summarize",
    "Certificate",
    "Entry",
    "Reading",
    "compare_with_paper",
    "Design",
    "WorkedCost",
    "classifier_cost",
    "compare_networks",
    "convolution_cost",
    "lecture_cases",
    "module_cost",
    "pooling_cost",
    "stack_cost",
    "Look",
    "draw_look",
    "filter_grid",
    "first_filters",
    "grad_cam",
    "input_gradient",
    "saliency",
]
