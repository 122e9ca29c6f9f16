"""The GPU: kernels of our own in CUDA, and the little Python around them.

The ops do not live here. An op of minicnn/ops works on CuPy arrays by the same lines as on NumPy arrays;
where that is too slow (a NumPy-like line is a kernel launch, and a trip of all its arrays through the GPU's
memory), it calls a kernel instead:

    if uses_kernels(x):
        launch_over_pixels("max_pool.cu", ...)

The kernels are real CUDA files in this folder. `no_kernels()` makes the ops take the array path all the same:
it is what the kernels are tested against.

    kernels.py   the files, compiled when first used
    launch.py    grids, blocks and arguments
    products.py  matrix products by cuBLAS
    random.py    random numbers made on the GPU
    table.py     many arrays for one launch
    graph.py     a training step, recorded once and replayed
    memory.py    what to say when the GPU is full

Nothing here imports CuPy before an array lies on a GPU.
"""
