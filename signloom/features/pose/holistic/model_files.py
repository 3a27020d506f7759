"""Read the model files in MediaPipe's wheel, and take from them what is needed.

The edits change no result but one: last bits that LiteRT computes otherwise than the TensorFlow Lite in the
wheel come out as they do there (docs/design/holistic.md).
"""

import hashlib
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np

from signloom.errors import SignloomError

# files of the wheel of MediaPipe 0.10.14 in `modules/`
SHA256 = {
    "pose_detection/pose_detection": "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    "pose_landmark/pose_landmark_full": "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
    "holistic_landmark/hand_recrop": "67d996ce96f9d36fe17d2693022c6da93168026ab2f028f9e2365398d8ac7d5d",
    "hand_landmark/hand_landmark_full": "11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3",
    "face_detection/face_detection_short_range": (
        "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8"
    ),
    "face_landmark/face_landmark": "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
}
# changes a model in place: `ModelT` of the schema of LiteRT, and that schema
Edit = Callable[[Any, Any], None]


@cache
def model_file(name: str) -> bytes:
    """Return a model file. Raises SignloomError if it is not the one that was compared with MediaPipe."""
    spec = find_spec("mediapipe")
    if spec is None or spec.origin is None:
        raise SignloomError(
            "the package mediapipe, which contains the models, is missing: install Signloom again"
        )
    file = Path(spec.origin).parent / "modules" / f"{name}.tflite"
    content = file.read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise SignloomError(f"{file} is not the model of MediaPipe 0.10.14: install the locked version again")
    return content


def edited(name: str, *edits: Edit) -> bytes:
    """Return a model file after `edits`."""
    # a slow import, so only a process that tracks should do it
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model_file(name), 0))
    for edit in edits:
        edit(model, schema)
    model.signatureDefs = []  # they name tensors that may be gone
    builder = flatbuffers.Builder(len(model_file(name)))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def outputs(*numbers: int) -> Edit:
    """Keep these of a model's outputs, and only what they need."""

    def edit(model: Any, schema: Any) -> None:
        graph = model.subgraphs[0]
        _keep(graph, [int(graph.outputs[number]) for number in numbers], [int(graph.inputs[0])])

    return edit


def before_mean(model: Any, schema: Any) -> None:
    """Keep what leads to the mean over all places of a picture."""
    graph = model.subgraphs[0]
    _keep(graph, [int(_mean(model, schema).inputs[0])], [int(graph.inputs[0])])


def after_mean(model: Any, schema: Any) -> None:
    """Keep what follows the mean over all places of a picture."""
    graph = model.subgraphs[0]
    _keep(graph, [int(tensor) for tensor in graph.outputs], [int(_mean(model, schema).outputs[0])])


def scale_then_shift(model: Any, schema: Any) -> None:
    """Replace each depthwise convolution of one pixel by a product and a sum, which are rounded one by one.

    LiteRT rounds them once.
    """
    graph = model.subgraphs[0]
    kinds = schema.BuiltinOperator
    multiply, add = _operator_code(model, schema, kinds.MUL), _operator_code(model, schema, kinds.ADD)
    operators = []
    for operator in graph.operators:
        if _kind(model, operator) != kinds.DEPTHWISE_CONV_2D or _places(graph, operator.inputs[1]) != 1:
            operators.append(operator)
            continue
        source, weights, bias = (int(tensor) for tensor in operator.inputs)
        scaled = schema.TensorT()
        scaled.shape, scaled.type, scaled.buffer = graph.tensors[operator.outputs[0]].shape, 0, 0
        scaled.name = b"scaled %d" % len(graph.tensors)
        graph.tensors.append(scaled)
        steps = ((multiply, weights, "MulOptions"), (add, bias, "AddOptions"))
        targets = (len(graph.tensors) - 1, int(operator.outputs[0]))
        for (code, constant, options), target in zip(steps, targets, strict=True):
            step = schema.OperatorT()
            step.opcodeIndex, step.inputs, step.outputs = code, [source, constant], [target]
            step.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            step.builtinOptions = getattr(schema, f"{options}T")()
            operators.append(step)
            source = target
    graph.operators = operators


def _keep(graph: Any, outputs: list[int], inputs: list[int]) -> None:
    made_by = {int(tensor): operator for operator in graph.operators for tensor in operator.outputs}
    needed: set[int] = set()
    waiting = list(outputs)
    while waiting:
        tensor = waiting.pop()
        operator = made_by.get(tensor)
        if operator is not None and tensor not in inputs and id(operator) not in needed:
            needed.add(id(operator))
            waiting.extend(int(tensor) for tensor in operator.inputs if tensor >= 0)
    graph.operators = [operator for operator in graph.operators if id(operator) in needed]
    graph.inputs, graph.outputs = inputs, outputs


def _mean(model: Any, schema: Any) -> Any:
    kind = schema.BuiltinOperator.MEAN
    return next(operator for operator in model.subgraphs[0].operators if _kind(model, operator) == kind)


def _kind(model: Any, operator: Any) -> int:
    code = model.operatorCodes[operator.opcodeIndex]
    # files of old versions have the second alone
    return int(code.builtinCode or code.deprecatedBuiltinCode)


def _operator_code(model: Any, schema: Any, kind: int) -> int:
    """Return the number of a new code of operators of this kind."""
    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = kind, kind, 1
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _places(graph: Any, tensor: int) -> int:
    """Return the number of pixels of a kernel (1, height, width, channels)."""
    return int(np.prod(graph.tensors[tensor].shape[1:3]))
