"""What visitors bring to the page: values that are wrong, and files of their own."""

from __future__ import annotations

import logging
import re
import threading
import time
from pathlib import Path

import httpx
import pytest
from gradio_client import handle_file

from .conftest import client_of

BAD = [
    ("stylegan2_sample", {"seeds": "abc"}, "not a seed"),
    ("stylegan2_sample", {"seeds": "1-10000"}, "At most 64"),
    ("stylegan2_sample", {"seeds": ""}, "at least one seed"),
    ("stylegan2_sample", {"seeds": None}, "is empty"),
    ("stylegan2_sample", {"truncation_psi": 1e9}, "greater than maximum"),
    ("stylegan2_sample", {"truncation_psi": "much"}, "does not fit"),
    ("stylegan2_sample", {"network": "zebra"}, "no checkpoint called"),
    ("stylegan2_sample", {"network": "stylegan2/ffhq-1024"}, "offline"),
    ("stylegan2_sample", {"noise_mode": "loud"}, "choices"),
    ("stylegan2_interpolate", {"frames": 0}, "less than minimum"),
    ("stylegan2_interpolate", {"frames": 1e6}, "greater than maximum"),
    ("stylegan2_interpolate", {"fps": 1e9}, "greater than maximum"),
    ("stylegan2_interpolate", {"seeds": "1"}, "at least two"),
    ("stylegan2_truncation", {"psis": "one"}, "numbers with commas"),
    ("stylegan2_truncation", {"psis": "1e9"}, "from -4 to 4"),
    ("stylegan2_truncation", {"psis": ",".join("1" * 40)}, "1 to 32"),
    ("stylegan2_truncation", {"fine": -1e9}, "from -4 to 4"),
    ("stylegan2_truncation", {"seed": None}, "is empty"),
    ("stylegan2_mix", {"row_seeds": "1-12", "col_seeds": "1-12"}, "At most 64"),
    ("stylegan2_mix", {"layers": "99"}, "layers 0 to"),
    ("stylegan2_noise", {"count": 10_000}, "greater than maximum"),
    ("stylegan2_parameter_count", {"resolution": 100}, "choices"),
    ("fetch_checkpoint", {"name": "zebra"}, "no checkpoint called"),
    ("fetch_checkpoint", {"name": "stylegan2/ffhq-1024"}, "offline"),
]


def one_sentence(text: str) -> bool:
    return bool(re.search(r"[.!?]$", text) or "choices" in text) and "\n" not in text and "Traceback" not in text


@pytest.mark.parametrize(("name", "arguments", "word"), BAD)
def test_bad_values_get_one_sentence(name, arguments, word, visitor):
    with pytest.raises(Exception, match=re.escape(word)) as caught:
        visitor(name, **arguments)
    assert one_sentence(str(caught.value)), str(caught.value)


def test_after_an_error_the_next_call_works(visitor):
    with pytest.raises(Exception, match="not a seed"):
        visitor("stylegan2_sample", seeds="abc")
    assert len(visitor("stylegan2_sample", seeds="1-2")[0]) == 2


def test_a_bug_is_logged_and_one_sentence_is_said(visitor, monkeypatch, caplog):
    from pipelines import stylegan2

    def broken(*given):
        raise ZeroDivisionError("secret of the house")

    monkeypatch.setattr(stylegan2, "_render", broken)
    with caplog.at_level(logging.ERROR), pytest.raises(Exception, match="was logged") as caught:
        visitor("stylegan2_sample", seeds="1")
    assert "secret" not in str(caught.value)
    assert "secret of the house" in caplog.text


# -- files of one's own


def test_an_own_file_is_its_visitors_alone(visitor, page, own_file):
    said = visitor("load_checkpoint", file=handle_file(str(own_file)))
    name = re.search(r"own:[0-9a-f]{12}", said)[0]
    assert "3 classes" in said and "stylegan2 generator" in said
    made = visitor("stylegan2_sample", network=name, seeds="1-2", class_index=2)
    assert name[4:] in made[-4] and "class_index=2" in made[-4], "the code says which file and which class"
    with pytest.raises(Exception, match="class must be from 0 to 2"):
        visitor("stylegan2_sample", network=name, seeds="1", class_index=3)
    stranger = client_of(page.local_url)
    with pytest.raises(Exception, match="load the file in the Checkpoints tab"):
        stranger.predict(network=name, seeds="1", api_name="/stylegan2_sample")
    stranger.close()


def test_the_upload_itself_is_not_kept(tmp_path, own_file, visitor, monkeypatch):
    from demo import networks
    from demo.session import Visitor
    from demo.tabs.checkpoints import read_own

    told, read, updates = threading.Event(), networks.weights.read, []

    def after_a_word(*given, **options):  # however quick this machine is
        assert told.wait(60)
        return read(*given, **options)

    monkeypatch.setattr(networks.weights, "read", after_a_word)
    copy = tmp_path / "upload.bin"
    copy.write_bytes(own_file.read_bytes())
    for update in read_own(Visitor(), str(copy)):
        updates.append(update)
        told.set()
    *waiting, (someone, _said) = updates
    assert not copy.exists() and len(someone.own) == 1
    assert waiting and all("Reading the file" in words for _nothing, words in waiting)


def test_a_visitor_who_leaves_ends_the_reading(tmp_path, own_file, monkeypatch):
    from demo.session import Visitor
    from demo.tabs.checkpoints import read_own
    from weights import isolation

    ended = threading.Event()

    def endless(request, alive, wall_s):
        try:
            while True:
                alive()
                time.sleep(0.01)
        finally:
            ended.set()

    monkeypatch.setattr(isolation, "_ask_server", endless)
    monkeypatch.setattr(isolation, "_ask_new_process", endless)
    copy = tmp_path / "upload.bin"
    copy.write_bytes(own_file.read_bytes() + b" ")  # another hash than that of files read before
    events = read_own(Visitor(), str(copy))
    assert "Reading the file" in next(events)[1]
    events.close()
    assert ended.wait(30)


def test_one_file_of_many_visitors_at_once(page, own_file):
    """Each has an upload of their own, and nobody's goes with another's."""
    content, said, paths = own_file.read_bytes(), [], []
    base = f"{page.local_url.rstrip('/')}/gradio_api"

    def visit() -> None:
        with httpx.Client(timeout=120) as client:
            for _ in range(2):
                (path,) = client.post(f"{base}/upload", files={"files": ("mine.pt", content)}).json()
                paths.append(path)
                file = {"path": path, "meta": {"_type": "gradio.FileData"}}
                event = client.post(f"{base}/call/load_checkpoint", json={"data": [file]}).json()["event_id"]
                said.append(client.get(f"{base}/call/load_checkpoint/{event}").text)

    visitors = [threading.Thread(target=visit) for _ in range(6)]
    for one in visitors:
        one.start()
    for one in visitors:
        one.join()
    assert len(said) == 12 and all("event: complete" in text and "3 classes" in text for text in said)
    assert len(set(paths)) == 12 and not any(Path(path).exists() for path in paths)


@pytest.mark.parametrize("name", [5, ["stylegan2/faces"], {"name": "x"}, True, 1.5])
def test_names_of_networks_that_are_no_text(visitor, name):
    for endpoint, parameter in (("stylegan2_sample", "network"), ("fetch_checkpoint", "name")):
        with pytest.raises(Exception, match=".") as caught:
            visitor(endpoint, **{parameter: name})
        assert "was logged" not in str(caught.value) and len(str(caught.value)) < 200, endpoint


def test_bad_checkpoint_files_get_one_sentence(visitor, tmp_path, own_file):
    import zipfile

    files = {"text.pkl": b"this is a shopping list\n" * 40, "empty.pt": b""}
    files["cut.safetensors"] = own_file.read_bytes()[:2000]
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("archive/data.pkl", b"\x80\x02}.")
        bomb.writestr("archive/data/0", bytes(300_000_000))
    (tmp_path / "letter.doc").write_bytes(b"dear all")
    for name in (*files, "bomb.pt", "letter.doc"):
        with pytest.raises(Exception, match=".") as caught:
            visitor("load_checkpoint", file=handle_file(str(tmp_path / name)))
        text = str(caught.value)
        assert len(text) < 200 and "\n" not in text and "Traceback" not in text, text
    assert len(visitor("stylegan2_sample", seeds="1")[0]) == 1


def test_uploads_over_the_limit_are_not_taken(page):
    """The limit is the server's, so that a script meets it too; nothing of 3 GB is ever sent in this test."""
    assert page.max_file_size == 700 * 2**20
    assert page.config["max_file_size"] == page.max_file_size
