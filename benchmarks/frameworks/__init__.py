"""One module for each framework, `with_<name>`, read by its own worker only.

Each has a function

    prepare(workload, weights, images, labels, threads, **options) -> step

that builds the network from minicnn's weights (by minicnn's names, in minicnn's layout), without dropout, and
returns a function that takes one step: for training it returns the loss as a number, for inference the
logits (N, classes) as an array. Images (N, H, W, 3) are brought into the framework's layout beforehand.
"""
