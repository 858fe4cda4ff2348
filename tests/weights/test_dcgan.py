"""DCGANs of other programs: PyTorch's ``Sequential`` against itself, iGAN's files against their arithmetic in NumPy."""

from __future__ import annotations

import io
import pickle
import re

import numpy as np
import pytest
import safetensors.torch
import torch
from crafted import one_sentence
from dcgan_files import (
    THEANO,
    TORCH,
    convolution,
    igan,
    judge,
    judged,
    named,
    pictures,
    python2_pickle,
    sequential,
    upward,
)
from hub_server import Hub
from torch import nn

import weights
from weights import formats, store
from weights.formats import machine


def off(a, b) -> float:
    a, b = (np.asarray(x) for x in (a, b))
    assert a.shape == b.shape
    return float(np.abs(a - b).max())


def refused(path, **options) -> str:
    with pytest.raises(weights.RefusedFile) as error:
        weights.read(path, **options)
    return one_sentence(error.value)


def same_pictures(net, theirs: nn.Sequential, z_dim=8) -> None:
    z = torch.randn(3, z_dim, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        assert off(net(z), theirs(z[:, :, None, None])) < 2e-6
        assert float(net(z).std()) > 0.05


# -- PyTorch


@pytest.mark.parametrize("prefix", ["", "main.", "model.", "net.", "module.main.", "generator."])
@pytest.mark.parametrize("container", ["zip", "legacy", "safetensors"])
def test_sequential_under_its_usual_names(prefix, container, tmp_path):
    theirs, path = sequential(), tmp_path / "pytorch_model.bin"
    state = named(theirs, prefix)
    if container == "safetensors":
        safetensors.torch.save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=container == "zip")
    net = weights.read(path)
    same_pictures(net, theirs)
    assert (net.info.technique, net.info.kind, net.info.img_resolution) == ("igan", "generator", 32)
    assert net.prior == "normal" and net.discriminator is None and net.predictor is None
    assert not net.training and not any(p.requires_grad for p in net.parameters())
    assert weights.reopen(net.info.sha256) is net


@pytest.mark.parametrize(("z_dim", "widths", "channels"), [(8, (6,), 3), (5, (16, 8), 1), (3, (9, 7, 5, 4, 3), 3)])
def test_sizes_come_from_the_tensors(z_dim, widths, channels, tmp_path):
    theirs = sequential(z_dim, widths, channels)
    torch.save(named(theirs, "main."), tmp_path / "a.pt")
    net = weights.read(tmp_path / "a.pt")
    assert net.generator.widths == widths and net.z_dim == z_dim and net.img_channels == channels
    assert net.img_resolution == 4 << len(widths) and net.config["generator"]["kernel"] == 4
    same_pictures(net, theirs, z_dim)


def test_the_published_size(tmp_path):
    theirs = sequential(100, (512, 256, 128, 64))
    torch.save(named(theirs, "model."), tmp_path / "pytorch_model.bin")
    net = weights.read(tmp_path / "pytorch_model.bin")
    assert (net.z_dim, net.img_resolution, net.img_channels) == (100, 64, 3)
    assert sum(p.numel() for p in net.parameters()) == 3_576_704
    same_pictures(net, theirs, 100)


def test_biases_before_a_norm_only_move_its_mean(tmp_path):
    theirs = sequential(bias=True)
    assert all(theirs[i].bias.abs().min() > 0 for i in (0, 3, 6)) and theirs[9].bias is None
    torch.save(named(theirs), tmp_path / "a.pt")
    same_pictures(weights.read(tmp_path / "a.pt"), theirs)


def test_old_programs_did_not_count_batches_and_some_norms_have_no_gain(tmp_path):
    theirs = sequential()
    state = {k: v for k, v in named(theirs).items() if not k.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "a.pt")
    same_pictures(weights.read(tmp_path / "a.pt"), theirs)
    with torch.no_grad():
        theirs[1].weight.fill_(1)
        theirs[1].bias.zero_()
    torch.save({k: v for k, v in state.items() if k not in ("1.weight", "1.bias")}, tmp_path / "b.pt")
    same_pictures(weights.read(tmp_path / "b.pt"), theirs)


def test_blocks_within_the_stack(tmp_path):
    """``net.0.0.weight``: a block of convolution, norm and activation each; more than nine of them sort as numbers."""
    theirs = sequential(8, (8, 8, 8, 6, 6, 4))
    names, block = {}, -1
    for i, layer in enumerate(theirs):
        block += isinstance(layer, nn.ConvTranspose2d)
        names[str(i)] = f"net.{2 * block}.{'0' if isinstance(layer, nn.ConvTranspose2d) else '1'}"
    torch.save({names[k.split(".")[0]] + "." + k.split(".")[1]: v for k, v in named(theirs).items()}, tmp_path / "a")
    same_pictures(weights.read(tmp_path / "a"), theirs)


@pytest.mark.parametrize(
    ("ours", "theirs"), [("generator", "discriminator"), ("netG", "netD"), ("G", "D"), ("state_dict", None), ("", "")]
)
@pytest.mark.parametrize("norm", [True, False])
def test_whole_files_bring_the_discriminator(ours, theirs, norm, tmp_path):
    generator, critic = sequential(), judge(norm=norm)
    made, known = named(generator, "main."), named(critic, "main.")
    if ours and theirs:
        content = {ours: made, theirs: known, "epoch": 7, "optimizer": {"state": {}, "param_groups": []}}
    else:  # one dict for both, as a training module is saved
        both = named(generator, "generator.main.") | named(critic, "discriminator.main.")
        content = {"state_dict": both, "epoch": 7} if ours else both
    torch.save(content, tmp_path / "a.pt")
    net = weights.read(tmp_path / "a.pt")
    same_pictures(net, generator)
    x = torch.randn(2, 3, 32, 32)
    assert off(net.discriminator(x), critic(x).flatten(1)) < 1e-5
    assert net.discriminator.config["norm"] == ("batch" if norm else "none")
    assert "together with its generator" in refused(tmp_path / "a.pt", part="discriminator")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda: judge((4, 8)), "generator's size"),
        (lambda: judge(channels=1), "number of colours"),
        (lambda: nn.Sequential(*judge()[:-1], nn.Conv2d(16, 1, 3)), "3 x 3"),
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 4, 2, 1), *judge()[1:]), "bias"),
        (lambda: nn.Sequential(*judge(norm=False)[:-1], nn.BatchNorm2d(16), judge()[-1]), "batch norms"),
    ],
)
def test_an_unusual_discriminator_is_left_out(change, why, tmp_path):
    torch.save({"G": named(sequential()), "D": named(change())}, tmp_path / "a.pt")
    net = weights.read(tmp_path / "a.pt")
    same_pictures(net, sequential())
    assert net.discriminator is None and why in net.info.card["left_out"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda s: s.update({"9.bias": torch.ones(3)}), "bias"),
        (lambda s: [s.pop(k) for k in list(s) if "running" in k], "running statistics"),
        (lambda s: [s.pop(k) for k in list(s) if k.startswith("4.")], "batch norm"),
        (lambda s: s.update({"10.weight": torch.ones(3), "10.bias": torch.ones(3)}), "batch norm"),
        (lambda s: s.update({"3.weight": torch.ones(16, 8, 5, 5)}), "5 x 5"),
        (lambda s: s.update({"3.weight": torch.ones(16, 9, 4, 4)}), "stack of convolutions"),
        (lambda s: s.update({"9.weight": torch.ones(4, 7, 4, 4)}), "stack of convolutions"),
        (lambda s: s.update({"1.running_var": -torch.ones(16)}), "below zero"),
        (lambda s: s.update({"1.running_var": torch.ones(15)}), "15"),
        (lambda s: s.update({"1.running_mean": torch.full((16,), torch.nan)}), "NaN or infinite values"),
        (lambda s: s.update({"linear.weight": torch.ones(2, 2)}), "no generator of a kind"),
        (lambda s: s.update({"11.weight": torch.ones(2, 2)}), "no generator of a kind"),
    ],
)
def test_other_networks_are_refused(change, why, tmp_path):
    state = named(sequential())
    change(state)
    torch.save(state, tmp_path / "a.pt")
    assert why in refused(tmp_path / "a.pt")


def test_too_many_doublings(tmp_path):
    torch.save(named(sequential(2, (2,) * 9)), tmp_path / "a.pt")
    assert "1024 pixels" in refused(tmp_path / "a.pt")


def test_a_discriminator_alone(tmp_path):
    torch.save(named(judge()), tmp_path / "a.pt")
    assert "discriminator only" in refused(tmp_path / "a.pt")
    torch.save({"netD": named(judge())}, tmp_path / "b.pt")
    assert "no generator" in refused(tmp_path / "b.pt")


def test_the_fixture_of_pytorch(fixtures):
    net = weights.read(fixtures(TORCH))
    same_pictures(net, sequential())
    x = torch.randn(2, 3, 32, 32)
    assert off(net.discriminator(x), judge()(x).flatten(1)) < 1e-5


# -- iGAN: the arithmetic of its program, as it is described


def test_upward_is_the_gradient_of_the_convolution():
    draw = np.random.RandomState(0)
    x, y, w = draw.randn(2, 3, 8, 8), draw.randn(2, 4, 4, 4), draw.randn(4, 3, 5, 5)
    assert np.isclose((convolution(x, w) * y).sum(), (x * upward(y, w)).sum())


def check_igan(net, model: dict) -> None:
    draw = np.random.RandomState(8)
    z = draw.uniform(-1, 1, (3, net.z_dim)).astype(np.float32)
    with torch.no_grad():
        image = net(torch.from_numpy(z))
        assert off(image, pictures(model, z)) < 2e-5 and float(image.std()) > 0.05
        x = draw.uniform(-1, 1, tuple(image.shape)).astype(np.float32)
        if "disc_batchnorm" in model:
            want = judged(model["disc_params"], model["disc_batchnorm"], x)
            assert off(net.discriminator(torch.from_numpy(x)), want) < 1e-4
        if "predict_batchnorm" in model:
            want = np.tanh(judged(model["predict_params"], model["predict_batchnorm"], x))
            assert off(net.predictor(torch.from_numpy(x)), want) < 1e-4


def test_igan_fixture_that_python_2_wrote(fixtures):
    path, want = fixtures(THEANO), igan()
    net = weights.read(path)
    assert net.prior == "uniform" and net.img_resolution == 64 and net.predictor.bounded
    assert net.generator.widths == (16, 8, 4, 2) and net.generator.norm_units and net.info.technique == "igan"
    check_igan(net, want)
    # the arrays are those that the seed makes, says the pickle module itself
    found = pickle.loads(path.read_bytes(), encoding="latin1")
    assert found.keys() == want.keys()
    for key, arrays in want.items():
        assert [a.tobytes() for a in found[key]] == [a.tobytes() for a in arrays]


def test_the_numbers_would_show_a_kernel_that_is_not_turned(fixtures):
    net = weights.read(fixtures(THEANO))
    model = igan()
    model["gen_params"][-1] = model["gen_params"][-1][:, :, ::-1, ::-1]
    z = np.random.RandomState(8).uniform(-1, 1, (3, net.z_dim)).astype(np.float32)
    assert off(net(torch.from_numpy(z)), pictures(model, z)) > 0.05


@pytest.mark.parametrize(("nz", "n_f", "n_layers"), [(3, 2, 0), (4, 3, 1), (7, 2, 2)])
@pytest.mark.parametrize("protocol", ["python 2", 3, 4])
def test_igan_files_of_other_sizes_and_writers(nz, n_f, n_layers, protocol, tmp_path):
    model, path = igan(nz, n_f, n_layers, seed=3), tmp_path / "a.dcgan_theano"
    path.write_bytes(python2_pickle(model) if protocol == "python 2" else pickle.dumps(model, protocol))
    net = weights.read(path)
    assert net.z_dim == nz and net.img_resolution == 8 << n_layers
    check_igan(net, model)


def test_what_this_writer_makes_is_a_pickle():
    found = pickle.loads(python2_pickle(igan()), encoding="latin1")
    assert all(np.array_equal(a, b) for k, v in igan().items() for a, b in zip(v, found[k], strict=True))


def test_igan_files_that_were_not_upgraded(tmp_path):
    model = igan()
    old = {k: v for k, v in model.items() if k.endswith("params")}
    old["postlearn_params"] = [model["disc_batchnorm"], model["gen_batchnorm"]]
    old["postlearn_predict_params"] = model["predict_batchnorm"]
    (tmp_path / "a").write_bytes(python2_pickle(old))
    net = weights.read(tmp_path / "a")
    check_igan(net, model)
    assert net.discriminator is not None and net.predictor is not None


def test_igan_files_of_doubles_and_of_other_machines(tmp_path):
    model = igan()
    for kind in ("<f8", ">f4", ">f8"):
        other = {key: [a.astype(kind) for a in arrays] for key, arrays in model.items()}
        (tmp_path / "a").write_bytes(python2_pickle(other))
        check_igan(weights.read(tmp_path / "a"), model)


def test_igan_files_without_some_parts(tmp_path):
    model = igan()
    for missing, left_out in (
        (("predict_params", "predict_batchnorm"), ""),
        (("disc_params", "disc_batchnorm", "predict_params"), ""),
        (("disc_batchnorm",), "discriminator"),
        (("disc_batchnorm", "predict_batchnorm"), "predictor"),
    ):
        part = {k: v for k, v in model.items() if k not in missing}
        (tmp_path / "a").write_bytes(python2_pickle(part))
        net = weights.read(tmp_path / "a")
        check_igan(net, {k: v for k, v in part.items() if k.replace("batchnorm", "params") in part})
        assert (net.predictor is None) == any(m.startswith("predict") for m in missing)
        assert (net.discriminator is None) == any(m.startswith("disc") for m in missing)
        assert left_out in net.info.card.get("left_out", "") and bool(left_out) == ("left_out" in net.info.card)
    (tmp_path / "a").write_bytes(python2_pickle({k: v for k, v in model.items() if k != "gen_batchnorm"}))
    assert "gen_batchnorm" in refused(tmp_path / "a")
    assert "together with its generator" in refused(tmp_path / "a", part="discriminator")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda m: m["gen_params"].pop(), "number of layers"),
        (lambda m: m["gen_params"].clear(), "number of layers"),
        (lambda m: m["gen_batchnorm"].pop(), "generator's norms"),
        (lambda m: m["disc_params"].pop(), "another size"),
        (lambda m: m["disc_params"].__setitem__(-1, np.ones((256, 2), "f4")), "discriminator"),
        (lambda m: m["predict_params"].__setitem__(-1, np.ones((256, 5), "f4")), "predictor"),
        (lambda m: m["predict_batchnorm"].__setitem__(0, np.ones((5,), "f4")), "predictor's norms"),
        (lambda m: m["gen_params"].__setitem__(3, np.ones((16, 8, 4, 4), "f4")), "5 x 5"),
        (lambda m: m["gen_params"].__setitem__(0, np.ones((6, 250), "f4")), "generator"),
        (lambda m: m["gen_params"].__setitem__(0, np.ones((6,), "f4")), "generator"),
        (lambda m: m["gen_params"].__setitem__(1, np.ones((256,), "i4")), "arrays of numbers"),
        (lambda m: m.update(gen_params="text"), "list of arrays"),
        (lambda m: m.update(gen_params=["text"] * 13), "arrays of numbers"),
        (lambda m: m["gen_batchnorm"].__setitem__(5, np.full(8, -1, "f4")), "below zero"),
        (lambda m: m["gen_params"].__setitem__(1, np.full(256, np.nan, "f4")), "NaN or infinite values"),
        (lambda m: m["gen_params"].__setitem__(1, np.full(256, 1e300)), "NaN or infinite values"),
    ],
)
def test_igan_files_that_do_not_fit_together(change, why, tmp_path):
    model = igan()
    change(model)
    (tmp_path / "a").write_bytes(python2_pickle(model))
    assert why in refused(tmp_path / "a")


def test_igan_networks_of_one_colour(tmp_path):
    (tmp_path / "a").write_bytes(python2_pickle(igan(colours=1)))
    assert "1 colours" in refused(tmp_path / "a")


def test_variables_of_theano_are_named(tmp_path):
    content = b"\x80\x02}U\x0agen_paramsctheano.sandbox.cuda.type\nCudaNdarray_unpickler\n]\x85Rs."
    (tmp_path / "a").write_bytes(content)
    assert "Theano" in refused(tmp_path / "a")


def test_long_strings_are_data_and_short_ones_text():
    data = b"x" * 5000
    for content, kind in ((data, memoryview), (data[:300], str)):
        assert isinstance(machine.Machine(python2_pickle(content.decode()), {}).run(), kind)
    small = machine.Budget(text=100)  # data is not copied, so it costs nothing
    assert len(machine.Machine(python2_pickle(data.decode()), {}, budget=small).run()) == 5000
    with pytest.raises(weights.RefusedFile, match="more text"):
        machine.Machine(python2_pickle("x" * 300), {}, budget=small).run()


# -- kept, and fetched


def test_what_was_read_is_kept_as_our_own(fixtures, tmp_path):
    for name in (TORCH, THEANO):
        net = weights.read(fixtures(name))
        path = tmp_path / "a.safetensors"
        store.save(path, net, "igan", "generator", card={"made": "by a test"})
        again = weights.read(path)
        assert again.config == net.config and formats.read(path).card == {"made": "by a test"}
        assert all(
            torch.equal(a, b) for a, b in zip(net.state_dict().values(), again.state_dict().values(), strict=True)
        )
        assert store.resolution(store.header(path)["config"]) == net.img_resolution


def test_the_published_network_from_the_hub(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    entry = weights.entry("igan/dcgan-celeba")
    assert entry.loadable and entry.resolution == 64 and "dcgan-celeba" in weights.names("igan")
    theirs, buffer = sequential(100, (512, 256, 128, 64)), io.BytesIO()
    torch.save(named(theirs, "model."), buffer)
    with Hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        file = hub.add("huggan/dcgan-celeba-faces", "pytorch_model.bin", buffer.getvalue())
        assert weights.status(entry.name) == "remote" and weights.size(entry.name) == len(file.content)
        net = weights.load(entry.name)
        same_pictures(net, theirs, 100)
        assert net.info.sha256 == file.sha256 and net.info.crop == "celeba" and net.info.img_resolution == 64
        assert weights.status(entry.name) == "cached" and re.search("safetensors$", str(weights.fetch(entry.name)))


def test_shipped_networks_that_are_not_there_yet(monkeypatch, tmp_path):
    from weights import paths

    monkeypatch.setattr(paths, "EMBEDDED", tmp_path)
    for name in ("shoes", "faces", "flowers"):
        full = f"igan/{name}"
        assert weights.status(full) == "missing" and name not in weights.names("igan")
        assert weights.describe(full).status == "missing" and weights.describe(full).licence.startswith("research")
        with pytest.raises(weights.UserError) as error:
            weights.load(full)
        assert "train-" in one_sentence(error.value)
    assert weights.entry("igan/faces").crop == "celeba"
