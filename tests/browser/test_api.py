"""The page's functions as a script calls them, against the running program: what is absurd gets a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

import weights

# One call of each public function; the position among its results of one that can be looked at.
CALLS = {
    "/stylegan2_sample": {"seeds": "1-2", "truncation_psi": 0.5},
    "/stylegan2_truncation": {"seed": 1, "psis": "0, 1", "coarse": 0.5},
    "/stylegan2_truncation_picture": {"seed": 1, "truncation_psi": 1, "truncation_cutoff": 2},
    "/stylegan2_mix": {"row_seeds": "1", "col_seeds": "2-3", "layers": "fine+coarse"},
    "/stylegan2_interpolate": {"seeds": "1-2", "frames": 4, "format": "webp"},
    "/stylegan2_noise": {"seed": 1, "count": 2},
    "/stylegan2_move": {"seed": 1, "direction_1": 2},
    "/stylegan2_move_strip": {"seed": 1, "direction": "3", "layers": "0-1"},
    "/stylegan2_direction": {},
    "/stylegan2_history": {"seed": 1},
    "/stylegan2_parameter_count": {"resolution": 128, "mapping_layers": 8, "z_dim": 512, "w_dim": 512},
    "/load_checkpoint": {},
    "/fetch_checkpoint": {"name": "stylegan2/faces"},
}
ABSURD = [
    ("/stylegan2_sample", {"truncation_psi": 1e9}),
    ("/stylegan2_sample", {"truncation_psi": "inf"}),  # JSON has no infinity, float() takes its name
    ("/stylegan2_sample", {"seeds": "1-10000"}),
    ("/stylegan2_sample", {"seeds": ",".join(map(str, range(10_000)))}),
    ("/stylegan2_sample", {"seeds": "abc"}),
    ("/stylegan2_sample", {"seeds": None}),
    ("/stylegan2_sample", {"seeds": {"a": [1]}}),
    ("/stylegan2_sample", {"noise_seed": -1}),
    ("/stylegan2_sample", {"network": "stylegan2/../../etc/passwd"}),
    ("/stylegan2_sample", {"network": "own:000000000000"}),
    ("/stylegan2_truncation", {"psis": "0," * 5000}),
    ("/stylegan2_truncation", {"fine": 1e9}),
    ("/stylegan2_truncation_picture", {"truncation_cutoff": 1e9}),
    ("/stylegan2_mix", {"row_seeds": "1-12", "col_seeds": "1-12"}),
    ("/stylegan2_mix", {"layers": "0-99999999"}),
    ("/stylegan2_interpolate", {"frames": 0}),
    ("/stylegan2_interpolate", {"frames": 1e6}),
    ("/stylegan2_interpolate", {"fps": 1e9}),
    ("/stylegan2_interpolate", {"format": "exe"}),
    ("/stylegan2_noise", {"count": 1e9}),
    ("/stylegan2_move", {"direction_1": 1e9}),
    ("/stylegan2_move_strip", {"direction": "900"}),
    ("/stylegan2_direction", {}),
    ("/stylegan2_parameter_count", {"resolution": 10**9}),
    ("/stylegan2_parameter_count", {"channel_base": 10**12}),
    ("/fetch_checkpoint", {"name": "stylegan2/nothing"}),
    ("/fetch_checkpoint", {"name": "../../etc/passwd"}),
]


@pytest.fixture(scope="module")
def client(server, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("client"))
    made = Client(server.address, verbose=False, download_files=folder, httpx_kwargs={"timeout": 300})
    yield made
    made.close()


def called(client, endpoint: str, **arguments):
    if endpoint.startswith("/stylegan2_") and endpoint not in ("/stylegan2_history", "/stylegan2_parameter_count"):
        arguments = {"network": "stylegan2/faces", **arguments}
    return client.predict(api_name=endpoint, **arguments)


def test_every_public_function_is_known(client):
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    ours = {n for n in endpoints if n.startswith(("/stylegan2_", "/load_", "/fetch_"))}  # others have their own tests
    assert ours == set(CALLS)
    assert not [p for e in endpoints.values() for p in e["parameters"] if p["parameter_name"].startswith("param_")]


@pytest.mark.parametrize("endpoint", CALLS)
def test_sane(client, fixtures, endpoint, tmp_path):
    arguments = dict(CALLS[endpoint])
    if endpoint == "/stylegan2_direction":
        np.save(tmp_path / "age.npy", np.ones(weights.load("stylegan2/faces").w_dim))
        arguments["path"] = handle_file(str(tmp_path / "age.npy"))
    if endpoint == "/load_checkpoint":
        arguments["file"] = handle_file(str(fixtures("stylegan2_ada_64.pkl")))
    missing = any(weights.status(f"history/{name}") != "shipped" for name in weights.names("history"))
    if endpoint == "/stylegan2_history" and missing:
        with pytest.raises(AppError):
            called(client, endpoint, **arguments)
        pytest.skip("the networks of the history cell are not made yet")
    results = called(client, endpoint, **arguments)
    assert results
    if endpoint == "/stylegan2_direction":
        assert "age" in results[0]
        return
    files = [Path(r) for r in _texts(results) if len(r) < 200 and Path(r).is_file()]
    for path in files:
        if path.suffix == ".json":
            assert json.loads(path.read_text())["function"].startswith(("stylegan2.", "history."))
        else:
            with Image.open(path) as picture:
                assert min(picture.size) >= 32
    if endpoint == "/stylegan2_parameter_count":
        assert "24.5 M" in results[0]
    elif endpoint == "/fetch_checkpoint":
        assert "on this machine" in results[0]
    elif endpoint == "/load_checkpoint":
        assert "64 px" in str(results)
    else:
        assert files


def _texts(results) -> list[str]:
    if isinstance(results, str):
        return [results]
    if isinstance(results, dict):
        results = results.values()
    return [text for item in results for text in _texts(item)] if isinstance(results, (list, tuple)) or results else []


@pytest.mark.parametrize(("endpoint", "arguments"), ABSURD)
def test_absurd(client, server, endpoint, arguments):
    from .visit import one_sentence

    before, spent = server.memory(), server.computed_s()
    with pytest.raises(AppError) as caught:
        called(client, endpoint, **arguments)
    one_sentence(str(caught.value))
    assert server.computed_s() - spent < 20, "a small part of what the wish itself would take"
    assert server.memory() - before < 300 * 2**20


def test_the_server_still_answers(client):
    assert len(called(client, "/stylegan2_sample", seeds="1-4")[0]) == 4
