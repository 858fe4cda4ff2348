"""A page with tiny networks of its own, served in this process, so that tests can reach behind it."""

from __future__ import annotations

import re
from contextlib import contextmanager
from threading import Thread

import pytest
import torch
from gradio_client.exceptions import AppError

from models.stylegan2 import Generator
from weights import hub, latent_directions, paths, store


def tiny(path, seed: int, c_dim: int = 0, resolution: int = 32) -> None:
    torch.manual_seed(seed)
    net = Generator(
        z_dim=16,
        w_dim=16,
        c_dim=c_dim,
        img_resolution=resolution,
        mapping_layers=2,
        channel_base=256,
        channel_max=16,
    )
    store.save(path, net, "stylegan2", "generator")


def give_directions(folder, names, rows) -> None:
    """Named directions for the faces of a folder of tiny networks."""
    vectors = torch.randn(len(names), 16, generator=torch.Generator().manual_seed(4))
    found = {
        name: latent_directions.LatentDirection(name, vector / vector.norm(), 3.0, tuple(rows))
        for name, vector in zip(names, vectors, strict=True)
    }
    sha256 = hub.file_sha256(folder / "stylegan2" / "faces.safetensors")
    path = folder / "directions" / "faces.safetensors"
    path.parent.mkdir(exist_ok=True)
    latent_directions.write(path, "stylegan2/faces", sha256, 8, found)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """A folder of shipped networks: two of 32 px."""
    folder = tmp_path_factory.mktemp("embedded")
    tiny(folder / "stylegan2" / "faces.safetensors", 1)
    tiny(folder / "stylegan2" / "cats.safetensors", 2)
    give_directions(folder, ("Smiling", "Bangs", "Young"), range(2, 6))
    yield folder
    forget_all()


@pytest.fixture(scope="module")
def own_file(tmp_path_factory):
    """A conditional network that nobody ships."""
    path = tmp_path_factory.mktemp("own") / "mine.pt"  # the name is not what counts
    tiny(path, 3, c_dim=3)
    return path


@contextmanager
def served(shelf, folder, **options):
    """The whole page, launched with ``options``; its Hub is out of reach."""
    patch = pytest.MonkeyPatch()
    patch.setattr(paths, "EMBEDDED", shelf)
    patch.setenv("GRADIO_TEMP_DIR", str(folder / "gradio"))
    patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    import demo
    import weights

    weights.set_offline(True)
    forget_all()
    blocks = demo.build()
    options = {**demo.launch_options(), **options}
    blocks.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", **options)
    yield blocks
    blocks.close()
    weights.set_offline(False)
    forget_all()
    patch.undo()


@pytest.fixture(scope="module")
def page(shelf, tmp_path_factory):
    """The whole page, launched; its Hub is out of reach."""
    with served(shelf, tmp_path_factory.mktemp("page")) as blocks:
        yield blocks


@pytest.fixture(scope="module")
def serving():
    return served


def events_of(page, name: str) -> dict:
    """The functions of the events called ``name``, by the cell that they belong to, such as ``sg2-sample``."""
    found = [fn.fn for fn in page.fns.values() if getattr(fn.fn, "__name__", "") == name and hasattr(fn.fn, "cell")]
    return {fn.cell.id("")[:-1]: fn for fn in found}


def handler_of(page, name: str):
    """The function of the event of a button or an upload, by its id."""
    button = next(b for b in page.blocks.values() if getattr(b, "elem_id", None) == name)
    return next(fn.fn for fn in page.fns.values() if any(t[0] == button._id for t in fn.targets) and fn.fn)


def forget_all() -> None:
    """Networks are kept by name: the tiny ones must not meet tests of the real ones, nor the other way round."""
    import weights

    for entry in weights.entries():
        if entry.shipped:
            weights.forget(entry.name)


@pytest.fixture
def forgotten():
    """Networks of earlier tests are not known, nor those of this one afterwards."""
    forget_all()
    yield
    forget_all()


def client_of(address: str, **options):
    """A script's connection to a page, which waits for a busy machine longer than the five seconds of httpx."""
    from gradio_client import Client

    return Client(address, verbose=False, httpx_kwargs={"timeout": 300}, **options)


@pytest.fixture
def visitor(page):
    """A new visitor's script: ``visitor(endpoint, **arguments)`` gives what the endpoint gives."""
    client = client_of(page.local_url)

    def call(endpoint: str, /, **arguments):
        return client.predict(api_name=f"/{endpoint}", **arguments)

    call.client = client
    yield call
    Thread(target=client.close).start()  # it waits a second for its stream to end, and nobody needs to


@pytest.fixture(scope="module")
def history_shelf(shelf):
    """The four networks of the history cell on the page's shelf, with made-up measurements."""
    measured = {
        "path_length": {"mean": 0.5, "median": 0.4, "unevenness": 0.3},
        "swd": {"mean": 12.5},
        "swd_of_photographs": {"mean": 2.0},
        "position_bias": 0.12,
        "position_bias_of_photographs": 0.05,
        "seconds": 1234.5,
        "peak_to_mean": {"4": 1.1, "8": 1.2, "16": 1.3, "32": 1.4},
    }
    kinds = {"skip": {}, "adain": {"modulation": "adain"}, "growing": {"architecture": "growing"}, "path-length": {}}
    for name, config in kinds.items():
        torch.manual_seed(len(name))
        net = Generator(
            z_dim=8, w_dim=8, img_resolution=32, mapping_layers=1, channel_base=128, channel_max=8, **config
        )
        store.save(shelf / "history" / f"{name}.safetensors", net, "stylegan2", "generator", card=measured)
    return shelf


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    """The code that the page shows writes its pictures where it runs."""
    monkeypatch.chdir(tmp_path)


def refused(visitor, endpoint: str, words: str, **arguments) -> str:
    """The one sentence with which a script's call fails."""
    with pytest.raises(AppError) as caught:
        visitor(endpoint, **arguments)
    said = str(caught.value)
    assert re.search(words, said), said
    assert "\n" not in said and len(said) < 400 and "Traceback" not in said
    return said


def last(updates) -> dict:
    """What an event has made of each component in the end."""
    made: dict = {}
    for update in updates:
        made |= update
    return made
