"""Writes tests/golden/tiny.safetensors with the original safetensors library (pip install safetensors numpy).

Dtypes of every element size, a scalar, an empty tensor, a name beyond ASCII and one metadata entry: more than one
would be written in a random order.
"""

import pathlib

import numpy as np
from safetensors.numpy import save_file

tensors = {
    "net.0.weight": np.arange(6, dtype=np.float32).reshape(2, 3) / 4,
    "net.0.bias": np.array([-1.5, 2.25, 1e-3], dtype=np.float32),
    "double": np.array([[np.pi], [-np.e]], dtype=np.float64),
    "half": np.array([0.5, -2], dtype=np.float16),
    "ids": np.array([-1, 2**31 - 1], dtype=np.int32),
    "long": np.array([-(2**63), 2**63 - 1], dtype=np.int64),
    "mask": np.array([True, False, True]),
    "bytes": np.array([0, 127, 255], dtype=np.uint8),
    "scalar": np.array(42, dtype=np.float32),
    "empty": np.zeros((0, 4), dtype=np.float32),
    "größe \"q\"": np.array([7], dtype=np.int16),
}

out = pathlib.Path(__file__).resolve().parent.parent / "golden" / "tiny.safetensors"
save_file(tensors, out, metadata={"format": "rein"})
