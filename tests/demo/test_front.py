"""What every browser gets alike is made once: the same as Gradio would send, compressed, and kept."""

from __future__ import annotations

import httpx
import pytest


@pytest.fixture(scope="module")
def http(page):
    with httpx.Client(base_url=page.local_url, timeout=60) as client:
        yield client


def test_the_page_is_compressed_and_the_same_for_all(http):
    page, again = http.get("/"), http.get("/")
    assert page.content == again.content and page.headers["content-encoding"] == "br"
    plain = http.get("/", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers and plain.text == page.text
    assert http.get("/", headers={"accept-encoding": "gzip"}).text == page.text


def test_the_page_keeps_gradio_from_counting_before_its_scripts_begin(http):
    text = http.get("/").text
    assert 0 < text.index("const onFrame") < text.index('<script type="module"')


def test_the_page_has_its_first_tab_alone_and_scripts_are_told_of_all(http):
    text = http.get("/").text
    config = http.get("/config").json()
    ids = {one["props"].get("elem_id") for one in config["components"]}
    assert len(ids) > 300 and {"start", "tab-draggan", "sg2-sample-run", "dg-drag-run"} <= ids
    assert '"start"' in text and '"tab-draggan"' in text
    assert '"sg2-sample-run"' not in text and '"dg-drag-run"' not in text
    assert "api_info_as_input" in str(config["components"]) and "api_info_as_input" not in text


def test_another_address_gets_its_own_page(http):
    assert '"root":"http://example.org"' in http.get("/", headers={"host": "example.org"}).text
    assert '"root":"https://example.org"' not in http.get("/").text


def test_addresses_that_somebody_makes_up_take_no_room(http):
    from demo import front

    for number in range(front.PAGES + 3):
        assert http.get("/", headers={"host": f"h{number}.example.org"}).status_code == 200
    assert '"root":"http://127.0.0.1' in http.get("/").text


def test_files_are_compressed_and_kept(http):
    text = http.get("/").text
    script = next(part.split('"')[0] for part in text.split('src="./')[1:] if part.startswith("assets/"))
    first, second = http.get(f"/{script}"), http.get(f"/{script}")
    assert first.text == second.text and "immutable" in second.headers["cache-control"]
    assert second.headers["content-encoding"] == "br"
    part = http.get(f"/{script}", headers={"range": "bytes=0-9", "accept-encoding": "identity"})
    assert part.content == second.content[:10]


def test_what_is_not_there_is_not_kept(http):
    assert [http.get("/assets/nothing.js").status_code for _ in range(2)] == [404, 404]
