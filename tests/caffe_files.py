"""Writes `.caffemodel` files with Google's protocol buffers, so that the reader is tested on their words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# message -> field: (number, type, repeated); from Caffe's published caffe.proto
FIELDS = {
    "BlobShape": {"dim": (1, "int64", True)},
    "BlobProto": {
        "num": (1, "int32", False),
        "channels": (2, "int32", False),
        "height": (3, "int32", False),
        "width": (4, "int32", False),
        "data": (5, "float", True),
        "diff": (6, "float", True),
        "shape": (7, "BlobShape", False),
        "double_data": (8, "double", True),
    },
    "LayerParameter": {
        "name": (1, "string", False),
        "type": (2, "string", False),
        "bottom": (3, "string", True),
        "top": (4, "string", True),
        "loss_weight": (5, "float", True),
        "blobs": (7, "BlobProto", True),
        "phase": (10, "int32", False),
    },
    "V1LayerParameter": {
        "bottom": (2, "string", True),
        "top": (3, "string", True),
        "name": (4, "string", False),
        "type": (5, "int32", False),
        "blobs": (6, "BlobProto", True),
        "blobs_lr": (7, "float", True),
    },
    "NetParameter": {
        "name": (1, "string", False),
        "layers": (2, "V1LayerParameter", True),
        "input": (3, "string", True),
        "input_dim": (4, "int32", True),
        "layer": (100, "LayerParameter", True),
    },
}


@cache
def messages():
    """A class for each message."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="caffe_test.proto", package="caffe_test", syntax="proto2")
    for name, fields in FIELDS.items():
        message = file.message_type.add(name=name)
        for field, (number, kind, repeated) in fields.items():
            new = message.field.add(name=field, number=number)
            new.label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            new.type = getattr(kinds, f"TYPE_{kind.upper()}", kinds.TYPE_MESSAGE)
            if kind in FIELDS:
                new.type_name = f".caffe_test.{kind}"
            if repeated and kind in ("float", "double", "int64"):
                new.options.packed = True
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"caffe_test.{name}"))
        for name in FIELDS
    }


def write(path: Path, weights: Mapping[str, Sequence[np.ndarray]], old: bool = False) -> Path:
    """A `.caffemodel` of today's format, or of that before 2015, with other fields among those that count."""
    net = messages()["NetParameter"](name="test", input=["data"], input_dim=[1, 3, 32, 32])
    layers = net.layers if old else net.layer
    layers.add(name="data", top=["data"])
    for name, arrays in weights.items():
        layer = layers.add(name=name, bottom=["before"], top=[name])
        if old:
            layer.type, layer.blobs_lr[:] = 4, [1.0, 2.0]
        else:
            layer.type, layer.phase = "Convolution", 1
        for array in arrays:
            blob = layer.blobs.add(data=array.ravel().tolist())
            if old:
                sizes = [1] * (4 - array.ndim) + list(array.shape)
                blob.num, blob.channels, blob.height, blob.width = sizes
            else:
                blob.shape.dim[:] = array.shape
    path.write_bytes(net.SerializeToString())
    return path
