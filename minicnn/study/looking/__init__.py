"""What a trained network looks at: its first filters, saliency, Grad-CAM, and a picture of all three.

    from minicnn import study
    study.first_filters(model)                        # (CO, KH, KW, CI)
    study.saliency(model, x)                          # (N, H, W)
    study.grad_cam(model, x, layer="inception5b")     # (N, h, w), as large as the layer's maps

`minicnn look RUN IMAGE` draws them. What they show and what they do not: docs/looking/pictures.md.
"""

from minicnn.study.looking.filters import filter_grid, first_filters
from minicnn.study.looking.grad_cam import grad_cam
from minicnn.study.looking.picture import Look, draw_look
from minicnn.study.looking.saliency import input_gradient, saliency

__all__ = ["Look", "draw_look", "filter_grid", "first_filters", "grad_cam", "input_gradient", "saliency"]
