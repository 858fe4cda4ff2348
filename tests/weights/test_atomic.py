"""A file appears whole or not at all."""

import pytest

from weights.atomic import replacing


def test_what_was_written_takes_the_place(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(path) as beside:
        assert beside.suffix == ".txt" and beside.parent == tmp_path
        beside.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o644


def test_an_error_changes_nothing(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as beside:
        beside.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
