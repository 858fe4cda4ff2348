"""Layouts of StyleGAN against what their original programs compute, and other known layouts by their sentences."""

from __future__ import annotations

import argparse
import json
import pickle
import shutil

import numpy as np
import pytest
import safetensors.torch
import torch
from crafted import Persistent, discriminator, generator, name, persistence_modules, pickled, rosinality_state, shaken
from refusals import refused

import weights
from weights import formats
from weights.formats import official, rosinality

NVIDIA = (
    "stylegan2_ada_64",
    "stylegan2_ada_cond_32",
    "stylegan2_ada_gresnet_dskip_16",
    "stylegan3repo_sg2_32",
    "malicious_module_src",
)


def off(a: torch.Tensor, b: np.ndarray) -> float:
    assert tuple(a.shape) == b.shape
    return float((a - torch.from_numpy(b)).abs().max())


def same(a, b) -> None:
    """Two networks with the same settings and numbers."""
    assert a.config == {**b.config, "channels": a.config["channels"]}
    assert a.state_dict().keys() == b.state_dict().keys()
    for key, value in a.state_dict().items():
        assert torch.equal(value, b.state_dict()[key]), key


@pytest.fixture(scope="module", params=NVIDIA)
def nvidia(request, fixtures):
    path = fixtures(f"{request.param}.pkl")
    return path, dict(np.load(path.with_suffix(".npz")))


def test_nvidia_generator_equals_the_original(nvidia):
    path, want = nvidia
    net = weights.read(path)
    z, c = torch.from_numpy(want["z"]), torch.from_numpy(want["c"]) if "c" in want else None
    with torch.no_grad():
        w = net.mapping(z, c)
        assert off(w, want["w"]) < 1e-5
        if "w_psi07" in want:
            assert off(net.mapping(z, c, 0.7), want["w_psi07"]) < 1e-5
        assert off(net.mapping(z, c, 0.7, 4), want["w_psi07_cutoff4"]) < 1e-5
        for mode in ("const", "none"):
            assert off(net.synthesis(w, noise_mode=mode), want[f"img_{mode}"]) < 1e-4
        whole = net(z, c, truncation_psi=0.7, truncation_cutoff=4, noise_mode="const")
        assert off(whole, want["img_const_psi07_cutoff4"]) < 1e-4
        if "w_mix" in want:
            assert off(net.synthesis(torch.from_numpy(want["w_mix"]), noise_mode="const"), want["img_mix"]) < 1e-4
        for key in (k for k in want if k.startswith("feat_b")):
            assert off(net.synthesis.features(w, int(key[6:])), want[key]) < 1e-4
        # the averaged generator, not the other one
        assert off(net.synthesis(w[:1], noise_mode="const"), want["img_G_not_ema"]) > 0.1
    assert net.info.name == f"own:{net.info.sha256[:12]}" and net.info.technique == "stylegan2"
    assert not net.training and not any(p.requires_grad for p in net.parameters())


def test_nvidia_discriminator_equals_the_original(nvidia):
    path, want = nvidia
    net = weights.read(path, part="discriminator")
    c = torch.from_numpy(want["c"]) if "c" in want else None
    with torch.no_grad():
        assert off(net(torch.from_numpy(want["img_const"]), c), want["d_const"]) < 1e-4
        if "d_none" in want:
            assert off(net(torch.from_numpy(want["img_none"]), c), want["d_none"]) < 1e-4
        if "d_const_single" in want:
            one = [slice(i, i + 1) for i in range(4)]
            single = [net(torch.from_numpy(want["img_const"][i]), None if c is None else c[i]) for i in one]
            assert off(torch.cat(single), want["d_const_single"]) < 1e-4


def test_unstated_defaults_are_those_of_the_repository(fixtures):
    ada = formats.read(fixtures("stylegan2_ada_64.pkl")).config
    assert (ada["conv_clamp"], ada["num_fp16_res"], ada["w_avg_beta"]) == (None, 0, 0.995)
    later = formats.read(fixtures("stylegan3repo_sg2_32.pkl")).config
    # 4 half-precision resolutions were asked for; at 32 px that is 3 blocks, since it starts at 8 px
    assert (later["conv_clamp"], later["num_fp16_res"], later["w_avg_beta"]) == (256, 3, 0.998)


def test_settings_come_from_the_attributes_of_the_layers(monkeypatch, tmp_path):
    persistence_modules(monkeypatch)
    net = generator(conv_clamp=0.5, lr_multiplier=0.02, w_avg_beta=0.9, c_dim=3)
    half = lambda module: {"use_fp16": module.resolution == 8} if hasattr(module, "num_torgb") else {}  # noqa: E731
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"G_ema": Persistent(net, half)}, protocol=4))
    found = weights.read(tmp_path / "a.pkl")
    want = {**net.config, "num_fp16_res": 1, "embed_features": 16, "layer_features": 16}
    assert {k: found.config[k] for k in want if k[:7] != "channel"} == {k: want[k] for k in want if k[:7] != "channel"}
    z, c = torch.randn(2, 16), torch.eye(3)[:2]
    assert torch.equal(found(z, c, noise_mode="const"), net(z, c, noise_mode="const"))


@pytest.mark.parametrize("config", [{"use_noise": False}, {"architecture": "orig"}, {"resample_filter": [1, 2, 1]}])
def test_nvidia_variants(config, monkeypatch, tmp_path):
    persistence_modules(monkeypatch)
    net, other = generator(**config), discriminator(**{k: v for k, v in config.items() if k != "use_noise"})
    content = {"G": None, "D": Persistent(other), "G_ema": Persistent(net)}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(content, protocol=3))
    z = torch.randn(2, 16)
    img = net(z, noise_mode="const")
    assert off(weights.read(tmp_path / "a.pkl")(z, noise_mode="const"), img.numpy()) < 1e-6
    assert off(weights.read(tmp_path / "a.pkl", part="discriminator")(img), other(img).numpy()) < 1e-5


def test_long_filters_are_stored_as_lines(monkeypatch, tmp_path):
    """The ada code keeps separable filters of eight taps and more in one dimension."""
    persistence_modules(monkeypatch)
    taps = [1.0, 2, 3, 4, 4, 3, 2, 1]
    net = generator(resample_filter=taps)
    record = Persistent(net)
    waiting = [record]
    for item in waiting:
        buffers = item.state["_buffers"]
        if "resample_filter" in buffers:
            buffers["resample_filter"] = torch.tensor(taps) / sum(taps)
        waiting.extend(item.state["_modules"].values())
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"G_ema": record}, protocol=4))
    found = weights.read(tmp_path / "a.pkl")
    z = torch.randn(1, 16)
    assert off(found(z, noise_mode="const"), net(z, noise_mode="const").numpy()) < 1e-6


@pytest.mark.parametrize("zipped", [True, False])
def test_tuned_generator_saved_as_an_object(zipped, monkeypatch, tmp_path):
    """What PTI and other tuners leave: ``torch.save`` of the whole generator, or of a dict with it."""
    persistence_modules(monkeypatch)
    net = generator()
    content = Persistent(net) if zipped else {"G_ema": Persistent(net)}
    torch.save(content, tmp_path / "model.pt")
    z = torch.randn(2, 16)
    assert torch.equal(weights.read(tmp_path / "model.pt")(z, noise_mode="const"), net(z, noise_mode="const"))


# -- rosinality


def check_rosinality(net, want) -> None:
    z = torch.from_numpy(want["z"])
    with torch.no_grad():
        w = net.mapping(z)
        assert off(w[:, 0], want["w"]) < 1e-5
        assert off(net.synthesis(w, noise_mode="const"), want["img"]) < 1e-4
        assert off(net.synthesis(w, noise_mode="none"), want["img_zero_noise"]) < 1e-4
        assert off(net.synthesis(torch.from_numpy(want["w_plus"]), noise_mode="const"), want["img_w_plus"]) < 1e-4
        names = {"feat_conv1": 4, "feat_convs1": 8, "feat_convs3": 16, "feat_convs5": 32}
        for key in names.keys() & want.keys():
            assert off(net.synthesis.features(w, names[key]), want[key]) < 1e-4


def test_rosinality_converted(fixtures):
    want = dict(np.load(fixtures("rosinality_32.npz")))
    net = weights.read(fixtures("rosinality_32.pt"))
    check_rosinality(net, want)
    with torch.no_grad():
        w = net.mapping(torch.from_numpy(want["z"]), truncation_psi=0.7)
        assert off(w, want["w_psi07"]) < 1e-5
        assert off(net.synthesis(w, noise_mode="const"), want["img_psi07"]) < 1e-4
    assert net.config["channels"] == {"4": 64, "8": 64, "16": 48, "32": 32}


def recipe_state(shapes: dict) -> dict:
    """The weights of the fixture README's recipe, at the original's widths."""
    state = {}
    for i, (key, shape) in enumerate(shapes.items()):
        r = np.random.RandomState(91000 + i).standard_normal(shape).astype(np.float32)
        if key.endswith("kernel"):
            line = np.array([1, 3, 3, 1], np.float32)
            r = np.outer(line, line) / 64 * 4
        elif key.endswith("noise.weight"):
            r = 0.1 + 0.05 * r
        elif key.startswith("style") and key.endswith("weight"):
            r = 100 * r
        elif key.startswith("style") and key.endswith("bias"):
            r = 20 * r
        elif key.endswith("modulation.bias"):
            r = 1 + 0.2 * r
        elif key.endswith("bias"):
            r = 0.2 * r
        state[key] = torch.from_numpy(np.asarray(r, np.float32).copy())
    return state


def test_rosinality_training_layout_at_the_original_widths(fixtures, tmp_path):
    keys = json.loads(fixtures("state_keys.json").read_text())["rosinality_32_cm2_style64_mlp4"]
    state = recipe_state(keys["g_ema"])
    want = dict(np.load(fixtures("rosinality_recipe_32.npz")))
    args = argparse.Namespace(size=32, lr=2e-3, path="data", seed=np.float64(3), augment=True)
    content = {"g": {"x": torch.ones(1)}, "d": {"y": torch.ones(1)}, "g_ema": state, "args": args}
    torch.save({**content, "g_optim": {"state": {}}, "d_optim": {}, "ada_aug_p": np.float32(0.1)}, tmp_path / "a.pt")
    net = weights.read(tmp_path / "a.pt")
    check_rosinality(net, want)
    assert net.config["channels"] == {"4": 512, "8": 512, "16": 512, "32": 512}
    # no average latent in the file: it is estimated
    with torch.no_grad():
        w = net.mapping(torch.randn(8000, 64, generator=torch.Generator().manual_seed(5)))[:, 0]
    error = (w.mean(0) - net.mapping.w_avg) / w.std(0)
    assert error.abs().max() < 0.08 and net.mapping.w_avg.abs().max() > 0.1


def test_rosinality_in_the_old_torch_format_and_from_several_gpus(tmp_path):
    net = generator()
    state = {f"module.{k}": v for k, v in rosinality_state(net).items()}
    content = {"g_ema": state, "latent_avg": net.mapping.w_avg[None]}
    torch.save(content, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    same(weights.read(tmp_path / "old.pt"), generator(layer_features=16))


def test_rosinality_without_stored_noise(tmp_path):
    net = generator()
    state = {k: v for k, v in rosinality_state(net).items() if not k.startswith("noises")}
    torch.save({"g_ema": state, "latent_avg": net.mapping.w_avg}, tmp_path / "a.pt")
    found = weights.read(tmp_path / "a.pt")
    z = torch.randn(2, 16)
    assert off(found(z, noise_mode="none"), net(z, noise_mode="none").numpy()) < 1e-6
    assert found.synthesis.b8.conv1.noise_const.std() > 0.5


def test_every_published_rosinality_name_has_an_official_one(fixtures):
    keys = json.loads(fixtures("state_keys.json").read_text())
    official = keys["stylegan2_ada_1024_base32768"]["G_ema"]
    translated = {rosinality.translate(k) for k in keys["rosinality_1024_cm2"]["g_ema"]} - {None}
    assert translated == {k for k in official if not k.endswith(("resample_filter", "w_avg"))}


@pytest.mark.parametrize("base", [16384, 32768])
def test_configuration_of_a_published_network_from_its_names(base, fixtures):
    keys = json.loads(fixtures("state_keys.json").read_text())[f"stylegan2_ada_256_base{base}"]
    state = {k: torch.empty(shape) for k, shape in keys["G_ema"].items() if "resample_filter" not in k}
    config = official.generator_config(state)
    assert config["channels"] == {2**i: min(base >> i, 512) for i in range(2, 9)}
    assert (config["z_dim"], config["w_dim"], config["c_dim"], config["mapping_layers"]) == (512, 512, 0, 8)
    state = {k: torch.empty(shape) for k, shape in keys["D"].items() if "resample_filter" not in k}
    config = official.discriminator_config(state)
    assert config["channels"] == {2**i: min(base >> i, 512) for i in range(2, 9)}
    assert (config["img_resolution"], config["architecture"], config["mbstd_num_channels"]) == (256, "resnet", 1)


# -- bare state dicts with the official names


@pytest.mark.parametrize("container", ["safetensors", "torch", "half", "nested", "gpus"])
def test_official_names(container, tmp_path):
    net = generator(c_dim=2, architecture="resnet")
    state, path = net.state_dict(), tmp_path / "file.bin"
    if container == "safetensors":
        safetensors.torch.save_file(state, path)
    elif container == "half":
        state = {k: v.half() for k, v in state.items()}
        torch.save(state, path)
        net.load_state_dict({k: v.float() for k, v in state.items()})
    elif container == "nested":
        torch.save({"G_ema": state, "D": discriminator().state_dict()}, path)
        same(weights.read(path, part="discriminator"), discriminator())
    else:
        torch.save({("module." if container == "gpus" else "") + k: v for k, v in state.items()}, path)
    found = weights.read(path)
    z, c = torch.randn(2, 16), torch.eye(2)
    assert off(found(z, c, noise_mode="const"), net(z, c, noise_mode="const").numpy()) < 1e-6


def test_tuned_network_with_the_history_modulation(tmp_path):
    net = generator(modulation="adain")
    safetensors.torch.save_file(net.state_dict(), tmp_path / "a.safetensors")
    assert weights.read(tmp_path / "a.safetensors").config["modulation"] == "adain"


def test_content_decides_not_the_name(fixtures, tmp_path):
    for i, file in enumerate(["malicious_module_src.pkl", "rosinality_32.pt"]):
        wrong = tmp_path / f"holiday{i}.safetensors"
        shutil.copy(fixtures(file), wrong)
        assert weights.read(wrong).info.img_resolution in (8, 32)


# -- StyleGAN3


@pytest.fixture
def stylegan3(fixtures):
    path = fixtures("stylegan3_t_32.pkl")
    return path, dict(np.load(path.with_suffix(".npz")))


def test_stylegan3_equals_the_original(stylegan3):
    path, want = stylegan3
    net = weights.read(path)
    z = torch.from_numpy(want["z"])
    features = {key: key.removeprefix("feat_") for key in want if key.startswith("feat_")}
    assert len(features) == 4
    for grad in (False, True):
        with torch.set_grad_enabled(grad):
            w = net.mapping(z)
            assert off(w, want["w"]) < 1e-5
            assert off(net.mapping(z, None, 0.7, 4), want["w_psi07_cutoff4"]) < 1e-5
            image, found = net.synthesis(w, return_features=list(features.values()))
            assert off(image, want["img_const"]) < 5e-4
            for key, layer in features.items():
                part = tuple(slice(n) for n in want[key].shape)
                assert off(found[layer][part], want[key]) < 5e-4
            whole = net(z, truncation_psi=0.7, truncation_cutoff=4)
            assert off(whole, want["img_const_psi07_cutoff4"]) < 5e-4
            assert off(net.synthesis(w[:1]), want["img_G_not_ema"]) > 0.1  # the averaged generator
    assert (net.info.technique, net.info.img_resolution) == ("stylegan3", 32)
    assert not net.training and not any(p.requires_grad for p in net.parameters())


def test_the_discriminator_of_stylegan3_is_that_of_stylegan2(fixtures):
    path = fixtures("stylegan3_t_32.pkl")
    net = weights.read(path, part="discriminator")
    assert net.info.technique == "stylegan2" and net.info.img_resolution == 32


def alias_free(**settings):
    """A tiny StyleGAN3 whose settings are all away from the defaults."""
    from models.stylegan3 import Generator

    torch.manual_seed(0)
    small = {"z_dim": 12, "w_dim": 16, "img_resolution": 16, "channel_base": 128, "channel_max": 8, "num_layers": 6}
    return shaken(Generator(**{**small, "mapping_layers": 3, "c_dim": 2, "magnitude_ema_beta": 0.5, **settings}))


OTHERS = {"num_critical": 1, "first_cutoff": 1.5, "margin_size": 4, "output_scale": 0.5, "conv_clamp": 2.0}


@pytest.mark.parametrize("form", [{}, {"conv_kernel": 1, "radial": True}])
def test_settings_of_stylegan3_come_from_names_shapes_and_arguments(form, monkeypatch, tmp_path):
    """Of configuration R there is no file of the original program here: this is its layout, with our numbers."""
    persistence_modules(monkeypatch)
    net = alias_free(**form, **OTHERS)
    record = Persistent(net)
    given = {**OTHERS, "magnitude_ema_beta": 0.5, "channel_base": 128, "use_radial_filters": bool(form)}
    record.state["_modules"]["synthesis"].state["_init_kwargs"] = given
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"G_ema": record}, protocol=4))
    found = weights.read(tmp_path / "a.pkl")
    for setting in ("z_dim", "w_dim", "c_dim", "mapping_layers", "num_layers", "conv_kernel", "radial", *OTHERS):
        assert found.config[setting] == net.config[setting], setting
    z, c = torch.randn(2, 12), torch.eye(2)
    assert torch.equal(found(z, c), net(z, c))


def test_stylegan3_in_other_containers(tmp_path):
    net = alias_free()
    torch.save({"g_ema": net.state_dict()}, tmp_path / "a.pt")
    safetensors.torch.save_file(net.state_dict(), tmp_path / "b")
    weights.store.save(tmp_path / "c", net, "stylegan3", "generator")
    z, c = torch.randn(2, 12), torch.eye(2)
    for file in ("a.pt", "b", "c"):
        assert torch.equal(weights.read(tmp_path / file)(z, c), net(z, c)), file
    assert "generator only" in refused(tmp_path / "b", part="discriminator")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"synthesis.L3_36_8.weight": None}, "layer of its synthesis network is missing"),
        ({"synthesis.L3_36_8.affine.weight": None}, "incomplete"),
        ({"mapping.fc1.weight": None}, "layer of its mapping network is missing"),
        ({"synthesis.L2_36_8.up_filter": torch.ones(9)}, "shape"),
        ({"synthesis.L99_36_8.weight": torch.ones(2, 2, 3, 3)}, "layer of its synthesis network is missing"),
        ({"synthesis.input.weight": torch.full((8, 8), float("nan"))}, "NaN"),
    ],
)
def test_stylegan3_that_does_not_fit_together(change, told, tmp_path):
    state = {name: value for name, value in {**alias_free().state_dict(), **change}.items() if value is not None}
    assert all(name in alias_free().state_dict() or "L99" in name for name in change)
    safetensors.torch.save_file(state, tmp_path / "a")
    assert told in refused(tmp_path / "a")


# -- layouts that are recognised, and not read yet


def test_tensorflow_is_named(tmp_path):
    network = name("dnnlib.tflib.network", "Network") + b")\x81"  # NEWOBJ with no arguments
    path = tmp_path / "tf.pkl"
    path.write_bytes(pickled(network * 3, b"\x87", protocol=2))
    assert "TensorFlow" in refused(path)


def test_dcgan_is_named(tmp_path):
    layers = [torch.nn.ConvTranspose2d(a, b, 4, bias=False) for a, b in ((10, 8), (8, 6), (6, 4), (4, 3))]
    torch.save(torch.nn.Sequential(*layers).state_dict(), tmp_path / "pytorch_model.bin")
    assert "DCGAN" in refused(tmp_path / "pytorch_model.bin")


def test_unknown_networks_are_told_by_their_names(tmp_path):
    torch.save({"backbone.<script>.weight": torch.ones(2), "head.bias": torch.ones(2)}, tmp_path / "a")
    message = refused(tmp_path / "a")
    assert "head.bias" in message and "<" not in message
