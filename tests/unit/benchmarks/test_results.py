from __future__ import annotations

import json

from benchmarks import results


def test_raw_data_of_a_page_in_docs_go_where_git_does_not_look():
    raw = results.raw_path("restore", results.PAGES)
    assert raw == results.ROOT / ".cache/benchmarks/restore.json"
    assert "/.cache/" in (results.ROOT / ".gitignore").read_text().splitlines()
    assert str(raw.relative_to(results.ROOT)) in results.how_to_repeat("restore")


def test_page_and_raw_data_are_written(tmp_path):
    output = tmp_path / "elsewhere"
    results.write("restore", {"rows": 1}, "# Page\n", output)
    assert (output / "restore.md").read_text() == "# Page\n"
    assert json.loads((output / "restore.json").read_text()) == {"rows": 1}
