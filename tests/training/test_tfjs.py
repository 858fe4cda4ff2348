"""TensorFlow.js graphs are read into modules that compute what the graph says."""

import base64
import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from training import frozen_layers, tfjs, tfjs_layers


def text(value):
    return {"s": base64.b64encode(value.encode()).decode()}


def window(*values):
    return {"list": {"i": [str(v) for v in (1, *values, 1)]}}


def node(name, op, *inputs, **attributes):
    return {"name": name, "op": op, "input": list(inputs), "attr": attributes}


def write(folder, nodes, weights, quantised=()):
    """A graph and its weights in two files of bytes; those named in ``quantised`` are kept in 8 bits."""
    entries, raw = [], b""
    for name, value in weights.items():
        value = np.asarray(value)
        kind = "int32" if value.dtype.kind == "i" else "float32"
        entry = {"name": name, "shape": list(value.shape), "dtype": kind}
        if name in quantised:
            low, scale = float(value.min()), float(np.ptp(value)) / 255
            entry["quantization"] = {"dtype": "uint8", "min": low, "scale": scale}
            raw += np.round((value - low) / scale).astype(np.uint8).tobytes()
        else:
            raw += value.astype(kind).tobytes()
        entries.append(entry)
    (folder / "a.bin").write_bytes(raw[:7])
    (folder / "b.bin").write_bytes(raw[7:])
    constants = [{"name": name, "op": "Const", "attr": {}} for name in weights]
    content = {
        "format": "graph-model",
        "modelTopology": {"node": constants + nodes},
        "weightsManifest": [{"paths": ["a.bin", "b.bin"], "weights": entries}],
    }
    path = folder / "model.json"
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def graph(tmp_path):
    """A convolution with scale, offset and limits; a strided depthwise one with PReLU; a sum, a mean, a product."""
    rng = np.random.default_rng(0)
    w = {
        "k": rng.normal(size=(3, 3, 3, 4)),
        "scale": rng.normal(size=4),
        "offset": rng.normal(size=4),
        "six": np.array(6.0),
        "zero": np.array(0.0),
        "dk": rng.normal(size=(3, 3, 4, 1)),
        "db": rng.normal(size=4),
        "c": rng.normal(size=4),
        "pk": rng.normal(size=(1, 1, 4, 4)),
        "axes": np.array([1, 2]),
        "m": rng.normal(size=(4, 2)),
        "mb": rng.normal(size=2),
    }
    same = {"padding": text("SAME"), "strides": window(1, 1)}
    nodes = [
        node("picture", "Placeholder"),
        node("conv", "Conv2D", "picture", "k", padding=text("SAME"), strides=window(2, 2)),
        node("times", "Mul", "conv", "scale"),
        node("plus", "AddV2", "times", "offset"),
        node("relu", "Relu", "plus"),
        node("below", "Minimum", "relu", "six"),
        node("limited", "Maximum", "below", "zero"),
        node(
            "depth",
            "FusedDepthwiseConv2dNative",
            "limited",
            "dk",
            "db",
            padding=text("SAME"),
            strides=window(2, 2),
            fused_ops={"list": {"s": [text("BiasAdd")["s"]]}},
        ),
        node("positive", "Relu", "depth"),
        node("size", "Abs", "depth"),
        node("difference", "Sub", "depth", "size"),
        node("negative", "Mul", "difference", "c"),
        node("prelu", "Add", "positive", "negative"),
        node("project", "Conv2D", "prelu", "pk", **same),
        node("sum", "AddV2", "prelu", "project"),
        node("pooled", "Mean", "sum", "axes"),
        node("logits", "_FusedMatMul", "pooled", "m", "mb", fused_ops={"list": {"s": [text("BiasAdd")["s"]]}}),
        node("unused", "NoSuchOperation", "sum"),
    ]
    return write(tmp_path, nodes, w), w, nodes


def expected(x, w):
    """The same by hand, as TensorFlow defines it: SAME pads an even side by one pixel after it."""
    w = {k: torch.from_numpy(np.asarray(v, dtype=np.float32)) for k, v in w.items()}
    y = F.conv2d(F.pad(x, (0, 1, 0, 1)), w["k"].permute(3, 2, 0, 1), stride=2)
    y = (y * w["scale"][:, None, None] + w["offset"][:, None, None]).clamp(0, 6)
    limited = y
    y = F.conv2d(F.pad(y, (0, 1, 0, 1)), w["dk"].permute(2, 3, 0, 1), w["db"], 2, groups=4)
    y = y.relu() + w["c"][:, None, None] * (y - y.abs())
    total = y + F.conv2d(y, w["pk"].permute(3, 2, 0, 1))
    return limited, total, total.mean((2, 3)) @ w["m"] + w["mb"]


def test_a_graph_computes_what_it_says_with_its_steps_folded(graph):
    path, w, _ = graph
    net = tfjs.read(path, ["limited", "sum", "logits"])
    assert net.names == ["limited", "prelu", "project", "sum", "pooled", "logits"]
    x = torch.randn(2, 3, 16, 16)
    for got, wanted in zip(net(x), expected(x, w), strict=True):
        assert torch.allclose(got, wanted, atol=1e-4)
    assert torch.allclose(net(x, ["sum"])[0], expected(x, w)[1], atol=1e-4)
    assert not any(p.requires_grad for p in net.parameters())


def test_gradients_reach_the_picture_through_strided_filters(graph):
    path, w, _ = graph
    net = tfjs.read(path, ["logits"])
    x = torch.randn(2, 3, 16, 16, requires_grad=True)
    got = torch.autograd.grad(net(x)[0].square().sum(), x)[0]
    wanted = torch.autograd.grad(expected(x, w)[2].square().sum(), x)[0]
    assert torch.allclose(got, wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("size", [(8, 8), (9, 7), (11, 8)])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (5, 2), (5, 3), (1, 2), (2, 3)])
def test_the_gradient_of_strided_depthwise_filters_is_that_of_the_convolution(kernel, stride, size):
    for same in (True, False):
        layer = frozen_layers.Conv(
            torch.randn(4, 1, kernel, kernel).double(), None, stride, groups=4, same=same
        ).double()
        x = torch.randn(2, 4, *size).double().requires_grad_()
        y = layer(x)
        g = torch.randn_like(y)
        got = torch.autograd.grad(y, x, g)[0]
        assert layer.turned
        layer.turned = False
        assert torch.allclose(got, torch.autograd.grad(layer(x), x, g)[0])


def test_quantised_weights_are_expanded(graph, tmp_path):
    _, w, nodes = graph
    path = write(tmp_path, nodes, w, quantised=("k", "dk"))
    x = torch.randn(2, 3, 16, 16)
    got, wanted = tfjs.read(path, ["limited"])(x)[0], expected(x, w)[0]
    assert 0 < (got - wanted).abs().max() < 0.3
    stored = tfjs.load_weights(path, json.loads(path.read_text())["weightsManifest"])
    assert np.abs(stored["k"].numpy() - w["k"]).max() <= np.ptp(w["k"]) / 255 / 2 + 1e-6


def test_what_is_not_understood_is_named(graph, tmp_path):
    path, _, _ = graph
    with pytest.raises(tfjs.GraphError, match="NoSuchOperation"):
        tfjs.read(path, ["unused"])
    with pytest.raises(tfjs.GraphError, match="'nowhere'"):
        tfjs.read(path, ["nowhere"])
    (tmp_path / "b.bin").write_bytes(b"")
    with pytest.raises(tfjs.GraphError, match="weights end"):
        tfjs.read(path, ["sum"])
    path.write_text("{}")
    with pytest.raises(tfjs.GraphError, match="no TensorFlow.js graph"):
        tfjs.read(path, ["sum"])


def test_a_map_is_enlarged_and_summed(tmp_path):
    kernel = np.random.default_rng(0).normal(size=(2, 2, 1, 3))  # [k, k, out, in]
    w = {"size": np.array([8, 8]), "sizes": np.array([1, 16, 16, 1]), "k": kernel}
    nodes = [
        node("picture", "Placeholder"),
        node("large", "ResizeBilinear", "picture", "size", half_pixel_centers={"b": True}),
        node("sum", "AddN", "large", "large", "large"),
        node("up", "Conv2DBackpropInput", "sizes", "k", "sum", padding=text("SAME"), strides=window(2, 2)),
        node("corners", "ResizeBilinear", "picture", "size", half_pixel_centers={"b": False}),
    ]
    path = write(tmp_path, nodes, w)
    x = torch.randn(1, 3, 4, 4)
    large, up = tfjs.read(path, ["large", "up"])(x)
    assert torch.allclose(large, F.interpolate(x, (8, 8), mode="bilinear", align_corners=False))
    pixels = torch.einsum("ijoc,nchw->nohwij", torch.from_numpy(kernel).float(), 3 * large)
    assert torch.allclose(up, pixels.permute(0, 1, 2, 4, 3, 5).reshape(1, 1, 16, 16), atol=1e-5)
    with pytest.raises(tfjs.GraphError, match="ResizeBilinear"):
        tfjs.read(path, ["corners"])


def test_pooling_counts_only_what_is_inside():
    x = torch.arange(9.0).reshape(1, 1, 3, 3) - 20
    # A window of 2 with SAME reaches one pixel beyond; TensorFlow leaves that out of maxima and means.
    assert frozen_layers.Pool(False, 2, 2, True)(x).flatten().tolist() == [-16, -15, -13, -12]
    assert frozen_layers.Pool(True, 2, 2, True)(x).flatten().tolist() == [-18, -16.5, -13.5, -12]
    assert frozen_layers.Pool(True, 3, 1, True)(x)[0, 0, 0].tolist() == [-18, -17.5, -17]


def test_objects_of_a_minified_module_are_read_without_running_it():
    got = tfjs_layers.literal('{a:!0,b:[-.5,1e-3,.25E2,7],"c d":{e:null,f:!1},g:"x:!0\\n",1:void 0,h:3.}')
    assert got == {
        "a": True,
        "b": [-0.5, 0.001, 25.0, 7],
        "c d": {"e": None, "f": False},
        "g": "x:!0\n",
        "1": None,
        "h": 3.0,
    }
    for text in ("{a:f()}", "{a:b}", "{a:1+1}", "{a:`x`}", "{a:1"):
        with pytest.raises((tfjs.GraphError, json.JSONDecodeError)):
            tfjs_layers.literal(text)


def test_a_keras_model_in_modules(tmp_path):
    rng = np.random.default_rng(0)
    w = {
        "conv/kernel": rng.normal(size=(1, 3, 3, 4)),
        "norm/beta": rng.normal(size=4),
        "norm/moving_mean": rng.normal(size=4),
        "norm/moving_variance": rng.uniform(1, 2, size=4),
    }
    conv = {"padding": "same", "strides": [1, 1], "dilation_rate": [1, 1], "activation": "linear", "use_bias": False}

    def layer(name, kind, inputs, **config):
        return {"name": name, "class_name": kind, "config": config, "inbound_nodes": [[[i, 0, 0, {}] for i in inputs]]}

    layers = [
        {"name": "in", "class_name": "InputLayer", "config": {}, "inbound_nodes": []},
        layer("conv", "Conv2D", ["in"], **conv),
        layer("norm", "BatchNormalization", ["conv"], epsilon=0.001, scale=False),
        layer("act", "Activation", ["norm"], activation="relu"),
        layer("pool", "MaxPooling2D", ["act"], pool_size=[3, 3], strides=[2, 2], padding="valid"),
        layer("both", "Concatenate", ["pool", "pool"], axis=3),
        layer("head", "Dense", ["both"], units=5),
    ]
    content = {
        "modelTopology": {"model_config": {"config": {"layers": layers}}},
        "weightsManifest": [
            {
                "paths": ["s1"],
                "weights": [{"name": k, "shape": list(v.shape), "dtype": "float32"} for k, v in w.items()],
            }
        ],
    }
    raw = b"".join(v.astype(np.float32).tobytes() for v in w.values())
    wrapped = "!function(a){{x={{exports:{{}}}};n.exports={}}}({{}});"
    (tmp_path / "model.min.js").write_text(wrapped.format(json.dumps(content).replace("false", "!1")))
    (tmp_path / "s1.min.js").write_text(wrapped.format(json.dumps(base64.b64encode(raw).decode())))
    net = tfjs_layers.read(tmp_path, ["both"])
    assert net.names == ["act", "pool", "both"]

    x = torch.randn(2, 3, 9, 9)
    t = {k: torch.from_numpy(v.astype(np.float32))[..., None, None] for k, v in w.items() if k != "conv/kernel"}
    y = F.conv2d(x, torch.from_numpy(w["conv/kernel"].astype(np.float32)).permute(3, 2, 0, 1), padding=(0, 1))
    y = ((y - t["norm/moving_mean"]) / (t["norm/moving_variance"] + 0.001).sqrt() + t["norm/beta"]).relu()
    y = F.max_pool2d(y, 3, 2)
    assert torch.allclose(net(x)[0], torch.cat([y, y], 1), atol=1e-5)
    with pytest.raises(tfjs.GraphError, match="Dense"):
        tfjs_layers.read(tmp_path, ["head"])
