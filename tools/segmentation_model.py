"""``python -m tools.segmentation_model WHEEL OUTPUT``: make the speaker segmentation model of the package from whisperx's wheel.

The wheel (`pip download --no-deps whisperx==3.8.6`) carries pyannote's segmentation model as a checkpoint of PyTorch. This
program reads the weights and writes the same network for onnxruntime, with weights in half precision. It needs numpy and
onnx (1.23.2 makes the same bytes as those of the package), but not torch: the checkpoint is a ZIP file of arrays, and of a
pickle from which only arrays are taken.
"""

import argparse
import hashlib
import io
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

_CHECKPOINT = "whisperx/assets/pytorch_model.bin"
_CHECKPOINT_SHA256 = "0b5b3216d60a2d32fc086b47ea8c67589aaeb26b7e07fcbe620d6d0b83e209ea"
_OPSET = 17
_SAMPLE_RATE = 16_000

# PyanNet's structure (pyannote.audio 4, models/segmentation/PyanNet.py and models/blocks/sincnet.py; MIT)
_STRIDE = 10  # samples, of the first convolution
_MIN_LOW_HZ, _MIN_BAND_HZ = 50.0, 50.0
_LSTM_LAYERS, _HIDDEN = 4, 128
_LEAK, _EPSILON = 0.01, 1e-5  # the defaults of PyTorch's leaky_relu and InstanceNorm1d

Weights = dict[str, npt.NDArray[np.float32]]


def main() -> None:
    """Write the model and print its SHA-256."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    model = build(read_weights(arguments.wheel))
    arguments.output.write_bytes(model)
    print(f"{hashlib.sha256(model).hexdigest()}  {arguments.output}  {len(model)} bytes")


def read_weights(wheel: Path) -> Weights:
    """Return the arrays of the checkpoint in the wheel.

    Raises:
        ValueError: it is another checkpoint than the one that this program was written for.
    """
    with zipfile.ZipFile(wheel) as archive:
        checkpoint = archive.read(_CHECKPOINT)
    if hashlib.sha256(checkpoint).hexdigest() != _CHECKPOINT_SHA256:
        raise ValueError(f"{wheel} has another {_CHECKPOINT}; take whisperx 3.8.6.")
    with zipfile.ZipFile(io.BytesIO(checkpoint)) as arrays:
        weights: Weights = _Checkpoint(arrays).load()["state_dict"]
    return weights


class _Checkpoint(pickle.Unpickler):
    """Loads arrays; objects of other classes become empty ones, so that nothing of the pickle is executed."""

    def __init__(self, arrays: zipfile.ZipFile) -> None:
        super().__init__(arrays.open("archive/data.pkl"))
        self._arrays = arrays

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if name == "_rebuild_tensor_v2":
            return _array
        return name if name.endswith("Storage") else _Other

    def persistent_load(self, pid: Any) -> npt.NDArray[np.generic]:
        types = {"FloatStorage": np.float32, "LongStorage": np.int64}
        return np.frombuffer(self._arrays.read(f"archive/data/{pid[2]}"), types[pid[1]])


def _array(
    storage: npt.NDArray[np.generic], offset: int, shape: tuple[int, ...], *_: object
) -> npt.NDArray[np.generic]:
    return storage[offset : offset + int(np.prod(shape))].reshape(shape)


class _Other:
    def __init__(self, *_: object) -> None: ...
    def __setstate__(self, state: object) -> None: ...
    def __setitem__(self, key: object, value: object) -> None: ...


def build(weights: Weights) -> bytes:
    """Return the ONNX model: "samples" float32 ``(windows, n)``, to "activities" float32 ``(windows, frames, 3)``, 0 to 1."""
    graph = _Graph()
    x = graph.add("Unsqueeze", "samples", graph.constant(np.array([1], np.int64)))
    x = _norm(graph, x, weights, "sincnet.wav_norm1d")
    x = graph.add("Conv", x, graph.weight(_sinc_filters(weights)), strides=[_STRIDE])
    x = graph.add("Abs", x)
    for layer in range(3):
        if layer:
            name = f"sincnet.conv1d.{layer}"
            x = graph.add(
                "Conv", x, graph.weight(weights[f"{name}.weight"]), graph.weight(weights[f"{name}.bias"])
            )
        x = graph.add("MaxPool", x, kernel_shape=[3], strides=[3])
        x = _norm(graph, x, weights, f"sincnet.norm1d.{layer}")
        x = graph.add("LeakyRelu", x, alpha=_LEAK)
    x = graph.add("Transpose", x, perm=[2, 0, 1])  # frames, windows, channels
    for layer in range(_LSTM_LAYERS):
        x = _lstm(graph, x, weights, layer)
    for name in ("linear.0", "linear.1", "classifier"):
        x = graph.add("MatMul", x, graph.weight(weights[f"{name}.weight"].T))
        x = graph.add("Add", x, graph.weight(weights[f"{name}.bias"]))
        x = graph.add("Sigmoid", x) if name == "classifier" else graph.add("LeakyRelu", x, alpha=_LEAK)
    graph.add("Transpose", x, perm=[1, 0, 2], output="activities")
    return graph.model()


class _Graph:
    """The nodes and weights of a model, in order."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []

    def add(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        output = output or f"x{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(self, value: npt.NDArray[np.generic]) -> str:
        name = f"w{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def weight(self, value: npt.NDArray[np.float32]) -> str:
        """Store ``value`` in half precision; onnxruntime converts it once, when it loads the model."""
        return self.add("Cast", self.constant(value.astype(np.float16)), to=TensorProto.FLOAT)

    def model(self) -> bytes:
        samples = helper.make_tensor_value_info("samples", TensorProto.FLOAT, ["windows", "n"])
        activities = helper.make_tensor_value_info("activities", TensorProto.FLOAT, ["windows", "frames", 3])
        graph = helper.make_graph(self._nodes, "segmentation", [samples], [activities], self._weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString(deterministic=True))


def _norm(graph: _Graph, x: str, weights: Weights, name: str) -> str:
    scale, bias = graph.weight(weights[f"{name}.weight"]), graph.weight(weights[f"{name}.bias"])
    return graph.add("InstanceNormalization", x, scale, bias, epsilon=_EPSILON)


def _sinc_filters(weights: Weights) -> npt.NDArray[np.float32]:
    """Return the band-pass filters, float32 ``(80, 1, 251)``: 40 even ones, then 40 odd ones (asteroid_filterbanks)."""
    name = "sincnet.conv1d.0.filterbank"
    times, window = weights[f"{name}.n_"], weights[f"{name}.window_"]
    low = _MIN_LOW_HZ + np.abs(weights[f"{name}.low_hz_"])
    high = np.clip(low + _MIN_BAND_HZ + np.abs(weights[f"{name}.band_hz_"]), _MIN_LOW_HZ, _SAMPLE_RATE / 2)
    band = high - low
    even = (np.sin(high @ times) - np.sin(low @ times)) / (times / 2) * window
    odd = (np.cos(low @ times) - np.cos(high @ times)) / (times / 2) * window
    filters = np.concatenate(
        [
            np.concatenate([even, 2 * band, even[:, ::-1]], axis=1) / (2 * band),
            np.concatenate([odd, np.zeros_like(band), -odd[:, ::-1]], axis=1) / (2 * band),
        ]
    )
    return np.asarray(filters[:, None], dtype=np.float32)


def _lstm(graph: _Graph, x: str, weights: Weights, layer: int) -> str:
    """Add one layer in both directions. PyTorch orders its gates i, f, g, o and ONNX i, o, f, c, which is g."""

    def both(kind: str) -> npt.NDArray[np.float32]:
        names = (f"lstm.{kind}_l{layer}", f"lstm.{kind}_l{layer}_reverse")
        gates = [np.split(weights[name], 4) for name in names]
        return np.stack([np.concatenate([i, o, f, g]) for i, f, g, o in gates])

    biases = np.concatenate([both("bias_ih"), both("bias_hh")], axis=1)
    inputs = (graph.weight(both("weight_ih")), graph.weight(both("weight_hh")), graph.weight(biases))
    x = graph.add("LSTM", x, *inputs, hidden_size=_HIDDEN, direction="bidirectional")
    x = graph.add("Transpose", x, perm=[0, 2, 1, 3])  # from frames, directions, windows, units
    return graph.add("Reshape", x, graph.constant(np.array([0, 0, 2 * _HIDDEN], np.int64)))


if __name__ == "__main__":
    main()
