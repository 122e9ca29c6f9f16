"""CIFAR-10 files with made-up pixels."""

import pickle
from pathlib import Path

import numpy as np

ALL_BATCHES = [f"data_batch_{k}" for k in range(1, 6)] + ["test_batch"]


class FakeCifar10:
    """Six batches of `count` images, as they should be read."""

    def __init__(self, count: int) -> None:
        rng = np.random.default_rng(7)
        self.images = {name: rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8) for name in ALL_BATCHES}
        self.labels = {name: rng.integers(0, 10, count) for name in ALL_BATCHES}

    def planes(self, name: str) -> np.ndarray:
        """Red, then green, then blue, written out by hand."""
        return np.array([[image[..., c].ravel() for c in range(3)] for image in self.images[name]]).reshape(
            -1, 3072
        )

    def binary(self, name: str) -> bytes:
        return b"".join(
            bytes([label]) + row.tobytes()
            for label, row in zip(self.labels[name], self.planes(name), strict=True)
        )

    def write_binary(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ALL_BATCHES:
            (folder / f"{name}.bin").write_bytes(self.binary(name))
        return folder

    def write_python(self, folder: Path, protocol: int = 2) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ALL_BATCHES:
            batch = {
                b"batch_label": name.encode(),
                b"labels": self.labels[name].tolist(),
                b"data": self.planes(name),
                b"filenames": [b"some.png"],
            }
            (folder / name).write_bytes(pickle.dumps(batch, protocol))
        return folder

    def expected(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        names = ALL_BATCHES[:5] if split == "train" else ALL_BATCHES[5:]
        return np.concatenate([self.images[n] for n in names]), np.concatenate(
            [self.labels[n] for n in names]
        )
