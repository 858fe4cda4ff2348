"""A generator that begins with the pictures of a finished one."""

import pytest
import torch

from models.stylegan2 import Generator
from training import features, stylegan2, teaching
from weights import store
from weights.errors import UserError

from .resuming import differ, stopped_and_straight
from .stylegan2_helpers import blobs, options


class Pixels(torch.nn.Module):
    """Stands for a network of features that is not there."""

    def forward(self, x):
        return [x]


@pytest.fixture
def teacher(tmp_path, monkeypatch):
    monkeypatch.setattr(features, "load", lambda name: Pixels())
    torch.manual_seed(3)
    net = Generator(z_dim=8, w_dim=8, img_resolution=32, mapping_layers=2, channel_base=64, channel_max=8)
    net.mapping.w_avg.normal_()
    path = tmp_path / "teacher.safetensors"
    store.save(path, net, "stylegan2", "generator", card={}, dtype=torch.float32)
    return path


def run_of(tmp_path, teacher, *more):
    where = tmp_path / "runs" / "pupil"
    given = ("--teacher", str(teacher), "--teacher-images", "800", "--teacher-pictures", "64", "--teacher-lr", "0.02")
    return stylegan2.StyleGAN2Run(options(where, *given, *more), blobs())


@pytest.mark.parametrize("more", [[], ["--modulation", "adain"]], ids=["demod", "adain"])
def test_it_learns_the_teachers_pictures(tmp_path, teacher, more):
    run = run_of(tmp_path, teacher, *more)
    mapping = {k: v.clone() for k, v in run.G.mapping.state_dict().items()}
    ws, wanted = run.teacher.batch(32, torch.Generator().manual_seed(1))

    def apart():
        return (run.G.synthesis(ws, noise_mode="none") - wanted).abs().mean().item()

    before = apart()
    for _ in range(100):
        run.step()
    assert apart() < before / 2
    assert all(torch.equal(v, mapping[k]) for k, v in run.G.mapping.state_dict().items())
    assert all(torch.equal(v, mapping[k]) for k, v in store.load(teacher).mapping.state_dict().items())
    heads = [v.clone() for v in run.D.parameters()]
    run.step()  # then photographs are learnt from
    assert any((a != b).any() for a, b in zip(heads, run.D.parameters(), strict=True))


def test_its_pictures_are_the_teachers_reduced_with_styles_mixed_in_half(tmp_path, teacher):
    run, net = run_of(tmp_path, teacher), store.load(teacher)
    ws = run.teacher.ws
    full = net.synthesis(ws, noise_mode="const").clamp(-1, 1)
    pictures = run.teacher.pictures.float() / 127.5 - 1
    assert (torch.nn.functional.avg_pool2d(full, 2) - pictures).abs().max() <= 0.5 / 127.5 + 1e-5
    mixed = (ws != ws[:, :1]).any(dim=2).any(dim=1)
    assert not mixed[::2].any() and mixed[1::2].all()
    assert (ws[:, run.G.num_ws :] == ws[:, run.G.num_ws - 1 : run.G.num_ws]).all()  # what the pupil has no rows for


def test_a_growing_pupil_sees_them_at_its_size(tmp_path, teacher):
    run = run_of(tmp_path, teacher, "--architecture", "growing", "--growing-stage", "16")
    for _ in range(8):
        run.step()
    assert run.G.synthesis.growth == (16, 1.0) and run.stats["teacher"] > 0


def test_pictures_are_drawn_once_for_all_runs_of_a_folder(tmp_path, teacher, monkeypatch):
    first = run_of(tmp_path, teacher)
    monkeypatch.setattr(teaching, "_drawn", lambda *_: pytest.fail("drawn again"))
    assert torch.equal(run_of(tmp_path, teacher).teacher.pictures, first.teacher.pictures)


def test_a_resumed_pupil_takes_the_same_steps(tmp_path, teacher):
    straight, second = stopped_and_straight(lambda: run_of(tmp_path, teacher), tmp_path, 2, 2)
    assert not differ(straight.G, second.G)
    assert "--teacher weights/embedded/" in straight.state()["origin"]
    assert "teacher" not in straight.state()["args"]  # where it lies on this machine


@pytest.mark.parametrize("option", ["--z-dim", "--w-dim", "--mapping-layers"])
def test_other_latents_are_refused(tmp_path, teacher, option):
    with pytest.raises(UserError, match=option[2:].replace("-", "_")):
        run_of(tmp_path, teacher, option, "4")


def test_a_smaller_teacher_is_refused(tmp_path, teacher):
    with pytest.raises(UserError, match="at least as large"):
        run_of(tmp_path, teacher, "--resolution", "64")
