"""Files of pSp and e4e, made in their layout from small networks: both parts come out, and wrong files are refused."""

from __future__ import annotations

import argparse

import pytest
import torch
from crafted import one_sentence, rosinality_state
from encoder_files import networks, tree, written

import weights
from models.encoders import Encoder, GradualStyleEncoder
from models.stylegan2 import Generator
from weights import formats, hub, loading, shelf, store
from weights.formats import psp


def same(a, b):
    for name, value in b.state_dict().items():
        assert torch.allclose(a.state_dict()[name], value, atol=1e-6), name


@pytest.mark.parametrize("variant", ["e4e", "psp"])
def test_both_parts_of_a_file(tmp_path, variant):
    net, encoder = networks(variant)
    path = written(tmp_path / "some.file", tree(variant))
    x = torch.randn(1, 3, 64, 64)
    generator = weights.read(path)
    same(generator, net)
    assert generator.info.technique == "stylegan2" and generator.info.card["encoder"] == variant
    found = weights.read(path, part="encoder")
    assert {**found.config, "units": (1, 2, 2, 1)} == {**encoder.config, "units": (1, 2, 2, 1)}
    assert found.config["units"] == [1, 2, 2, 1] and found.info.kind == "encoder"
    assert torch.equal(found(x), encoder(x)) and not any(p.requires_grad for p in found.parameters())


def test_the_encoder_can_be_had_when_the_file_is_gone(tmp_path):
    path = written(tmp_path / "a.pt", tree())
    sha256 = weights.read(path).info.sha256
    path.unlink()
    loading._kept.clear()
    assert isinstance(weights.reopen(sha256, part="encoder"), GradualStyleEncoder)
    assert isinstance(weights.reopen(sha256), Generator)
    weights.forget(sha256)
    for part in ("generator", "encoder"):
        with pytest.raises(weights.UserError):
            weights.reopen(sha256, part=part)


def test_an_encoder_that_went_is_kept_again_when_its_file_comes_back(tmp_path):
    path = written(tmp_path / "a.pt", tree())
    sha256 = weights.read(path).info.sha256
    shelf.own(sha256, "encoder").unlink()
    loading._kept.clear()
    weights.read(path)
    assert shelf.own(sha256, "encoder").is_file()


@pytest.mark.parametrize("name", ["stylegan2/ffhq-1024-e4e", "stylegan2/ffhq-1024-psp"])
def test_the_catalogue_has_both(tmp_path, monkeypatch, name):
    entry = weights.entry(name)
    assert entry.layout in loading.ENCODED and entry.crop == "ffhq" and name.split("/")[1] in weights.names("stylegan2")
    path = written(tmp_path / "download", tree(entry.layout))
    monkeypatch.setattr(hub, "download", lambda *args: (path, hub.file_sha256(path)))
    encoder = weights.load(name, part="encoder")
    generator = weights.load(name)
    assert isinstance(encoder, GradualStyleEncoder) and encoder.variant == entry.layout
    assert encoder.num_ws == generator.num_ws and encoder.info.sha256 == generator.info.sha256
    assert weights.load(name, part="encoder") is encoder
    shelf.converted(encoder.info.sha256, "encoder").write_bytes(b"spoilt")
    loading._kept.clear()
    assert weights.load(name, part="encoder").num_ws == 8
    weights.forget(name)
    assert not list((shelf.converted("x").parent).glob("*"))


def test_networks_without_an_encoder_say_so(tmp_path):
    with pytest.raises(weights.UserError) as error:
        weights.load("stylegan2/ffhq-1024", part="encoder")
    assert "no encoder" in one_sentence(error.value)
    path = written(tmp_path / "a", {"g_ema": rosinality_state(networks()[0]), "latent_avg": torch.zeros(16)})
    assert "no encoder" in refused(path)


def refused(path, part="encoder") -> str:
    with pytest.raises(weights.RefusedFile) as error:
        weights.read(path, part=part)
    return one_sentence(error.value)


def test_the_average_counts_only_where_the_program_added_it(tmp_path):
    def without(made):
        made["opts"]["start_from_latent_avg"] = False

    def lacking(made):
        del made["latent_avg"]

    for i, change in enumerate((without, lacking)):
        found = weights.read(written(tmp_path / str(i), tree("psp", change)), part="encoder")
        assert not found.latent_avg.any()
    # Where the file has none the generator's is estimated.
    net, _ = networks()
    z = torch.randn(4000, 16)
    estimated = weights.read(tmp_path / "1").mapping.w_avg
    assert torch.allclose(estimated, net.mapping(z)[:, 0].mean(0), atol=0.1)


def test_one_average_for_all_rows_and_options_as_they_were_parsed(tmp_path):
    def change(made):
        made["latent_avg"] = made["latent_avg"][:1]
        made["opts"] = argparse.Namespace(**made["opts"])

    encoder = weights.read(written(tmp_path / "a", tree("e4e", change)), part="encoder")
    same(encoder, networks()[1])


@pytest.mark.parametrize(("data", "crop"), [("ffhq_encode", "ffhq"), ("cars_encode", None), (3, None)])
def test_how_faces_lie_is_known_from_the_data_it_was_trained_on(tmp_path, data, crop):
    net = weights.read(written(tmp_path / "a", tree(change=lambda made: made["opts"].update(dataset_type=data))))
    assert net.info.crop == crop


def rows(made):
    """Seven rows for a generator of eight."""
    made["state_dict"] = {k: v for k, v in made["state_dict"].items() if not k.startswith("encoder.styles.7.")}


def put(name, value):
    return lambda made: made["state_dict"].__setitem__(name, value)


def drop(name):
    return lambda made: made["state_dict"].pop(name)


def opts(**changes):
    return lambda made: made["opts"].update(changes)


WRONG = {
    "another kind": (opts(encoder_type="BackboneEncoderUsingLastLayerIntoW"), "is of the kind"),
    "no kind": (lambda made: made.pop("opts"), "does not say"),
    "markup": (opts(encoder_type="<b>"), "is of the kind"),
    "sketches": (put("encoder.input_layer.0.weight", torch.ones(16, 1, 3, 3)), "not at photographs"),
    "rows": (rows, "7 rows"),
    "a missing unit": (drop("encoder.body.2.res_layer.1.weight"), "missing"),
    "a missing norm": (drop("encoder.body.2.res_layer.0.weight"), "missing"),
    "a missing convolution": (drop("encoder.styles.3.convs.2.weight"), "missing"),
    "a missing bias": (drop("encoder.styles.3.linear.bias"), "missing"),
    "three stages": (put("encoder.body.5.res_layer.1.weight", torch.ones(48, 48, 3, 3)), "four stages"),
    "a wrong shape": (put("encoder.latlayer1.weight", torch.ones(2, 2, 1, 1)), "shape"),
    "something more": (put("encoder.more", torch.ones(2)), "does not have"),
    "no number": (put("encoder.latlayer1.bias", torch.full((64,), torch.nan)), "NaN"),
    "a wrong average": (lambda made: made.update(latent_avg=torch.ones(8, 17)), "average latent"),
    "a shuffled block": (put("encoder.styles.1.convs.4.weight", torch.ones(16, 16, 3, 3)), "do not fit"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_files_are_refused(tmp_path, wrong):
    change, word = WRONG[wrong]
    assert word in refused(written(tmp_path / "a", tree(change=change)))


@pytest.mark.parametrize("wrong", ["another kind", "no kind", "sketches"])
def test_the_generator_beside_an_encoder_of_another_kind_can_be_used(tmp_path, wrong):
    net = weights.read(written(tmp_path / "a", tree(change=WRONG[wrong][0])))
    same(net, networks()[0])
    assert "encoder" not in net.info.card


def test_a_generator_that_is_none_is_refused(tmp_path):
    path = written(tmp_path / "a", tree(change=drop("decoder.input.input")))
    assert "no StyleGAN2" in refused(path, "generator")
    assert "no discriminator" in refused(path, "discriminator")


def test_a_spoilt_encoder_spoils_the_file(tmp_path):
    path = written(tmp_path / "a", tree(change=WRONG["no number"][0]))
    assert "NaN" in refused(path, "generator")


def test_the_published_sizes_are_read_from_shapes_alone():
    with store._unfilled(room=2**30):
        state = GradualStyleEncoder("psp").state_dict()
    state.pop("latent_avg")
    config = psp.configuration(state, {"encoder_type": "GradualStyleEncoder"})
    assert GradualStyleEncoder.__init__.__defaults__[1] == 256 == config["img_resolution"]
    assert config["units"] == [3, 4, 14, 3] and config["widths"] == [64, 128, 256, 512]
    assert (config["num_ws"], config["w_dim"], config["coarse"], config["middle"]) == (18, 512, 3, 4)


def test_our_own_file(tmp_path):
    torch.manual_seed(0)
    net = Encoder("stylegan2/faces", 32, 8, 16, (8, 8, 8, 8), 16).eval()
    store.save(tmp_path / "a.safetensors", net, "encoder", "encoder", {"generator_sha256": "ab" * 32})
    found = weights.read(tmp_path / "a.safetensors", part="encoder")
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(found(x), net(x)) and found.generator == "stylegan2/faces"
    assert formats.read(tmp_path / "a.safetensors", "encoder").technique == "encoder"
    assert "encoder" in refused(tmp_path / "a.safetensors", "generator")
