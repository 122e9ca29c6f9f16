"""What a student looks through: a network's layers with their cost and what they see.

    from minicnn import models, study
    print(study.summarize(models.googlenet(), (1, 224, 224, 3)))

Everything is computed from the graph that a real forward pass leaves behind, never from a second
description of the network.
"""

from minicnn.study.layer_rows import LayerRow
from minicnn.study.summary import Summary, summarize

__all__ = ["LayerRow", "Summary", "summarize"]
