"""Graphs as ONNX files, by PyTorch's exporter; the number of rows is left free."""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.export import Dim, ExportedProgram

from zeuxis.core.errors import Unable
from zeuxis.core.family import Family
from zeuxis.core.files import write_file
from zeuxis.export.graphs import Graph, Module

ROWS = "batch"
"""Name of the first axis in the files."""
SUFFIX = ".onnx"
LARGEST = 2**26
"""Bytes of a constant that is computed when the file is written."""


def needed() -> None:
    """Check that the packages are there.

    Raises:
        Unable: they are not.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript

        assert onnx and onnxruntime and onnxscript
    except ImportError as error:
        raise Unable(
            f"an export needs {error.name}, which is not installed: pip install 'zeuxis[export]'"
        ) from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep to oneself what the exporter says of its own insides."""
    log = logging.getLogger("torch.onnx")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)


def shapes(graph: Graph) -> tuple[Any, ...]:
    """What is free in the inputs' shapes: the first axis, but of those that all rows share."""
    free = (None if name in graph.fixed else {0: Dim.DYNAMIC} for name in graph.inputs)
    return (tuple(free),)


def traced(family: Family, graph: Graph) -> ExportedProgram:
    """The graph as a program of PyTorch's.

    Raises:
        Exception: of many types, if the network asks for the number of rows as a number.
    """
    module = Module(family, graph).eval()
    with torch.no_grad(), quiet():
        return torch.export.export(
            module, tuple(graph.inputs.values()), dynamic_shapes=shapes(graph), strict=False
        )


def exact() -> dict[Any, Any]:
    """Translations of operations that the exporter's own make inexact or not finite.

    It takes the logarithm of a sigmoid, which is 0 below -88, and subtracts 1 from an exponential.
    """
    from onnxscript import opset20

    op: Any = opset20  # its types know no plain numbers

    def log_sigmoid(self: Any) -> Any:
        return op.Neg(op.Softplus(op.Neg(self)))

    def expm1(self: Any) -> Any:
        half = op.Div(self, op.CastLike(2.0, self))
        return op.Mul(op.Tanh(half), op.Add(op.Exp(self), op.CastLike(1.0, self)))

    aten = torch.ops.aten
    return {aten.log_sigmoid.default: log_sigmoid, aten.expm1.default: expm1}


def convert(family: Family, graph: Graph) -> Any:
    """The graph as an ONNX model in float32 (`onnx.ModelProto`)."""
    needed()
    from onnxscript import optimizer

    with quiet():
        program = torch.onnx.export(
            traced(family, graph),
            dynamo=True,
            input_names=[*graph.inputs],
            output_names=[graph.output],
            dynamic_shapes=shapes(graph),
            custom_translation_table=exact(),
            verbose=False,
        )
        assert program is not None
        # Weights that are padded in the network are padded here: onnxruntime 1.32 takes a weight's padding
        # for the image's, and cannot load what it makes of that.
        optimizer.optimize(program.model, input_size_limit=LARGEST, output_size_limit=LARGEST)
    model = program.model_proto
    _name_rows(model, graph)
    return model


def _name_rows(model: Any, graph: Graph) -> None:
    """Call the first axis what it is, wherever it occurs."""
    first = next(one for one in model.graph.input if one.name not in graph.fixed)
    symbol = first.type.tensor_type.shape.dim[0].dim_param
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param and axis.dim_param == symbol:
                axis.dim_param = ROWS


def halved(model: Any) -> Any:
    """The same with weights and arithmetic in float16, and inputs and outputs in float32.

    Half the size, and what a picture differs by is a level at most. Weights of 8 bits are refused: a
    `gan` was measured to become 3.8 times slower and up to 9 levels off, and a `vae` not to run.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16

    with quiet():
        return convert_float_to_float16(model, keep_io_types=True)


def write(path: Path, model: Any) -> None:
    """Write it."""
    content = model.SerializeToString()
    write_file(path, lambda beside: beside.write_bytes(content))
