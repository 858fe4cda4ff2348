import math

import numpy as np
import pytest

import weights
from pipelines import history
from weights.errors import UserError


def test_all_four_networks_ship():
    assert weights.names("history") and set(weights.names("history")) == set(history.NETWORKS)


def test_they_differ_in_one_thing_each():
    configs = {name: dict(weights.load(f"history/{name}").config) for name in history.NETWORKS}
    base = configs["skip"]
    changed = {name: {k for k in base if c[k] != base[k]} for name, c in configs.items()}
    assert changed == {"skip": set(), "adain": {"modulation"}, "growing": {"architecture"}, "path-length": set()}
    images = {name: history.card(name)["images"] for name in history.NETWORKS}
    assert len(set(images.values())) == 1, images


def test_droplet_maps_are_the_features_own():
    maps = history.droplet(3)
    assert [(m.network, m.resolution) for m in maps] == [(n, r) for n in ("adain", "skip") for r in (4, 8, 16, 32)]
    net = weights.load("history/skip")
    w = net.mapping(
        __import__("torch").from_numpy(np.random.RandomState(3).randn(1, net.z_dim)).float(),
    )
    norm = net.synthesis.features(w, 16)[0].norm(dim=0)
    assert maps[6].peak_to_mean == pytest.approx(float(norm.max() / norm.mean()), rel=1e-4)
    assert all(m.peak_to_mean >= 1 and m.image.size == (160, 160) for m in maps)


def test_contributions_add_up_to_the_picture():
    import torch

    from pipelines import stylegan2

    net = weights.load("history/skip")
    parts = history.contributions(2)
    assert [res for res, _, _ in parts] == [4, 8, 16, 32]
    assert sum(share for _, _, share in parts) == pytest.approx(1)
    ws = stylegan2.latent(net, 2, 1.0)
    total = None
    for res, x in net.synthesis.contributions(ws).items():
        from models.operations import upsample2d

        total = x if total is None else upsample2d(total, (1, 3, 3, 1)) + x
        assert total.shape[2] == res
    assert torch.allclose(total, net.synthesis(ws, noise_mode="const"), atol=1e-4)


def test_tables_hold_measured_numbers():
    for table in (history.droplet_numbers(), history.growing_numbers(), history.path_length_numbers()):
        assert all(len(values) == len(table.columns) for _, values in table.rows)
        known = [v for _, values in table.rows for v in values if not math.isnan(v)]
        assert len(known) >= len(table.columns) and all(math.isfinite(v) and v >= 0 for v in known)


def test_path_length_regularisation_evens_the_latent_space():
    rows = dict(history.path_length_numbers().rows)
    unevenness = history.path_length_numbers().columns.index("unevenness")
    assert rows["path-length"][unevenness] < rows["skip"][unevenness]


def test_samples_come_from_all_four():
    pictures = history.samples(1, 2)
    assert set(pictures) == set(history.NETWORKS)
    stacks = [np.stack([np.asarray(p) for p in images]) for images in pictures.values()]
    assert all((a != b).any() for i, a in enumerate(stacks) for b in stacks[:i])


def test_bad_seeds():
    for call in (history.droplet, history.contributions, history.samples):
        with pytest.raises(UserError):
            call("abc")
