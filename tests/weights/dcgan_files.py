"""DCGAN checkpoints in the layouts of other programs, all seeded: tensors, arrays, and pickles as Python 2 writes them.

``python tests/weights/dcgan_files.py FOLDER`` writes the fixtures; the pickle of iGAN's layout is then written by
Python 2 itself, from the arrays, where its path is given as a second argument (it needs NumPy).
"""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

TORCH, THEANO = "dcgan_32.bin", "igan_64.dcgan_theano"
NZ, N_F, N_LAYERS = 6, 2, 3  # of the fixture in iGAN's layout
BY_PYTHON_2 = """
import cPickle, sys
import numpy
arrays = numpy.load(sys.argv[1])
model = {}
for name in sorted(arrays.files, key=lambda n: (n.split(".")[0], int(n.split(".")[1]))):
    model.setdefault(name.split(".")[0], []).append(arrays[name])
with open(sys.argv[2], "wb") as file:
    cPickle.dump(model, file, protocol=cPickle.HIGHEST_PROTOCOL)
"""


# -- PyTorch


def sequential(z_dim=8, widths=(16, 8, 4), channels=3, seed=0, bias=False) -> nn.Sequential:
    """The generator of the PyTorch examples: the way it is written there, activations included."""
    torch.manual_seed(seed)
    parts: list[nn.Module] = [nn.ConvTranspose2d(z_dim, widths[0], 4, 1, 0, bias=bias)]
    for a, b in zip(widths, widths[1:], strict=False):
        parts += [nn.BatchNorm2d(a), nn.ReLU(True), nn.ConvTranspose2d(a, b, 4, 2, 1, bias=bias)]
    parts += [nn.BatchNorm2d(widths[-1]), nn.ReLU(True), nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1, bias=False)]
    return _shaken(nn.Sequential(*parts, nn.Tanh()))


def judge(widths=(4, 8, 16), channels=3, seed=1, norm=True, bias=False) -> nn.Sequential:
    """The discriminator beside it, up to the logit."""
    torch.manual_seed(seed)
    parts: list[nn.Module] = [nn.Conv2d(channels, widths[0], 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
    for a, b in zip(widths, widths[1:], strict=False):
        parts += [nn.Conv2d(a, b, 4, 2, 1, bias=bias), *([nn.BatchNorm2d(b)] if norm else []), nn.LeakyReLU(0.2, True)]
    return _shaken(nn.Sequential(*parts, nn.Conv2d(widths[-1], 1, 4, 1, 0, bias=False)))


def _shaken(net: nn.Sequential) -> nn.Sequential:
    """Every number is at work, so that one left out or in the wrong place shows."""
    with torch.no_grad():
        for module in net:
            if isinstance(module, (nn.ConvTranspose2d, nn.Conv2d)):
                module.weight.normal_(0, 0.5 / module.in_channels**0.5)
            if isinstance(module, nn.BatchNorm2d):
                module.weight.normal_(1, 0.2)
                module.bias.normal_(0, 0.2)
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.3, 2)
    return net.eval().requires_grad_(False)


def named(net: nn.Module, prefix: str = "") -> dict[str, torch.Tensor]:
    return {prefix + name: value for name, value in net.state_dict().items()}


# -- iGAN


def igan(nz=NZ, n_f=N_F, n_layers=N_LAYERS, seed=0, colours=3) -> dict[str, list[np.ndarray]]:
    """``gen_params``, ``gen_batchnorm`` and their like, with every number at work."""
    draw = np.random.RandomState(seed)
    normal = lambda mean, spread, *shape: (mean + spread * draw.randn(*shape)).astype(np.float32)  # noqa: E731
    widths = [n_f << n for n in range(n_layers + 1)]

    def norms(sizes: list[int]) -> list[np.ndarray]:
        means = [normal(0, 0.3, n) for n in sizes]
        return means + [draw.uniform(0.3, 2, n).astype(np.float32) for n in sizes]

    def judging(outputs: int) -> list[np.ndarray]:
        out = [normal(0, 0.1, n_f, colours, 5, 5)]
        for a, b in zip(widths, widths[1:], strict=False):
            out += [normal(0, 0.1, b, a, 5, 5), normal(1, 0.2, b), normal(0, 0.2, b)]
        return [*out, normal(0, 0.1, widths[-1] * 16, outputs)]

    units = widths[-1] * 16
    gen = [normal(0, 0.3, nz, units), normal(1, 0.2, units), normal(0, 0.2, units)]
    for a, b in zip(widths[::-1], widths[::-1][1:], strict=False):
        gen += [normal(0, 0.1, a, b, 5, 5), normal(1, 0.2, b), normal(0, 0.2, b)]
    return {
        "gen_params": [*gen, normal(0, 0.1, n_f, colours, 5, 5)],
        "gen_batchnorm": norms([units, *widths[-2::-1]]),
        "disc_params": judging(1),
        "disc_batchnorm": norms(widths[1:]),
        "predict_params": judging(nz),
        "predict_batchnorm": norms(widths[1:]),
    }


def string(value: str | bytes) -> bytes:
    """A string as Python 2 pickles it: text and data alike."""
    value = value.encode("latin-1") if isinstance(value, str) else value
    return b"U" + bytes([len(value)]) + value if len(value) < 256 else b"T" + struct.pack("<i", len(value)) + value


def _number(n: int) -> bytes:
    return b"J" + struct.pack("<i", n) if n < 2**31 else b"\x8a\x08" + struct.pack("<q", n)


def array(value: np.ndarray, shape: tuple | None = None, kind: str | None = None, data: bytes | None = None) -> bytes:
    """Instructions for an array; ``shape``, ``kind`` and ``data`` are where it may lie."""
    value = np.ascontiguousarray(value)
    shape, data = value.shape if shape is None else shape, value.tobytes() if data is None else data
    made = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + string("b") + b"\x87R"
    dtype = b"cnumpy\ndtype\n" + string(kind or value.dtype.str[1:]) + b"K\x00K\x01\x87R"
    dtype += b"(K\x03" + string(value.dtype.str[0]) + b"NNN" + _number(-1) * 2 + b"K\x00tb"
    return made + b"(K\x01(" + b"".join(map(_number, shape)) + b"t" + dtype + b"\x89" + string(data) + b"tb"


def value(thing) -> bytes:
    """Instructions for dicts, lists, arrays, texts; bytes are instructions already."""
    if isinstance(thing, dict):
        return b"}(" + b"".join(string(k) + value(v) for k, v in thing.items()) + b"u"
    if isinstance(thing, list):
        return b"](" + b"".join(map(value, thing)) + b"e"
    if isinstance(thing, str):
        return string(thing)
    return thing if isinstance(thing, bytes) else array(thing)


def python2_pickle(thing) -> bytes:
    return b"\x80\x02" + value(thing) + b"."


# -- the arithmetic of iGAN's program, in NumPy, as it is described


def convolution(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """``[N, in, H, W]``, ``[out, in, 5, 5]`` -> ``[N, out, H/2, W/2]``: true convolution, border 2, stride 2."""
    n, _c, height, width = x.shape
    x = np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)))
    out = np.zeros((n, len(w), height // 2, width // 2))
    for i in range(height // 2):
        for j in range(width // 2):
            window = x[:, :, 2 * i : 2 * i + 5, 2 * j : 2 * j + 5][:, :, ::-1, ::-1]  # x(t - s): turned round
            out[:, :, i, j] = np.tensordot(window, w, axes=([1, 2, 3], [1, 2, 3]))
    return out


def upward(y: np.ndarray, w: np.ndarray) -> np.ndarray:
    """The gradient of that convolution for its input: ``[N, in, H, W]``, ``[in, out, 5, 5]`` -> twice the size."""
    n, _c, height, width = y.shape
    x = np.zeros((n, w.shape[1], 2 * height + 4, 2 * width + 4))
    for i in range(height):
        for j in range(width):
            spread = np.tensordot(y[:, :, i, j], w, axes=([1], [0]))[:, :, ::-1, ::-1]
            x[:, :, 2 * i : 2 * i + 5, 2 * j : 2 * j + 5] += spread
    return x[:, :, 2:-2, 2:-2]


def normed(x, mean, variance, gain, bias):
    shape = (1, -1, 1, 1) if x.ndim == 4 else (1, -1)
    mean, variance, gain, bias = (a.astype(np.float64).reshape(shape) for a in (mean, variance, gain, bias))
    return (x - mean) / np.sqrt(variance + 1e-8) * gain + bias


def pictures(model: dict, z: np.ndarray) -> np.ndarray:
    params, stats = model["gen_params"], model["gen_batchnorm"]
    means, variances = stats[: len(stats) // 2], stats[len(stats) // 2 :]
    x = np.maximum(normed(np.clip(z, -1, 1) @ params[0], means[0], variances[0], params[1], params[2]), 0)
    x = x.reshape(len(z), -1, 4, 4)
    for n in range(1, len(means)):
        w, gain, bias = params[3 * n : 3 * n + 3]
        x = np.maximum(normed(upward(x, w), means[n], variances[n], gain, bias), 0)
    return np.tanh(upward(x, params[-1]))


def judged(params: list, stats: list, x: np.ndarray) -> np.ndarray:
    """What the dense layer at the end says."""
    leaky = lambda h: np.where(h > 0, h, 0.2 * h)  # noqa: E731
    h, half = leaky(convolution(x, params[0])), len(stats) // 2
    for n in range(half):
        w, gain, bias = params[1 + 3 * n : 4 + 3 * n]
        h = leaky(normed(convolution(h, w), stats[n], stats[n + half], gain, bias))
    return h.reshape(len(x), -1) @ params[-1]


# -- the fixtures


def main(folder: str, python2: str | None = None) -> None:
    folder = Path(folder)
    both = {"netG": named(sequential(), "main."), "netD": named(judge(), "main.")}
    torch.save(both, folder / TORCH)
    outputs(folder)
    if python2:
        arrays = folder / "arrays.npz"
        np.savez(arrays, **{f"{key}.{i}": a for key, part in igan().items() for i, a in enumerate(part)})
        subprocess.run([python2, "-c", BY_PYTHON_2, arrays, folder / THEANO], check=True)
        arrays.unlink()


def outputs(folder: Path) -> None:
    """What the networks of the fixtures make: the modules of PyTorch, and the arithmetic above."""
    draw = np.random.RandomState(8)
    z = draw.randn(3, 8).astype(np.float32)
    with torch.no_grad():
        img = sequential()(torch.from_numpy(z)[:, :, None, None])
        d = judge()(img).flatten(1)
    np.savez_compressed(folder / "dcgan_32.npz", z=z, img=img.numpy(), d=d.numpy())
    model = igan()
    z = draw.uniform(-1, 1, (2, NZ)).astype(np.float32)
    img = pictures(model, z).astype(np.float32)
    d = judged(model["disc_params"], model["disc_batchnorm"], img)
    p = np.tanh(judged(model["predict_params"], model["predict_batchnorm"], img))
    np.savez_compressed(folder / "igan_64.npz", z=z, img=img, d=d.astype(np.float32), p=p.astype(np.float32))


if __name__ == "__main__":
    main(*sys.argv[1:])
