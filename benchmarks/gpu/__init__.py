"""What needs a GPU: `python -m benchmarks.gpu`, or `make gpu-check` and `make gpu-accuracy`: ../README.md.

GPUs are rare and borrowed for minutes. So one command does all that needs one, in the order of importance,
each part in a process of its own with a limit on its time; and whatever was found is on disk at once.
"""
