from __future__ import annotations

import sys

import pytest
from jinja2 import UndefinedError

from templ.errors import InputError, StorageError
from templ.report import html_page


def test_a_page_is_closed():
    """The one rule for the browser that keeps it from asking any host."""
    text = html_page.render("base.html.j2")
    assert "default-src 'none'" in text
    assert "http" not in text.replace("http-equiv", "")


def test_a_name_that_is_not_given():
    with pytest.raises(UndefinedError):
        html_page.render("report.html.j2")


def test_without_jinja(monkeypatch):
    html_page.environment_of.cache_clear()
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(InputError, match=r"pip install 'templ-pose\[report\]'"):
        html_page.render("base.html.j2")


def test_the_folder_of_a_page_is_made(tmp_path):
    html_page.write_page(tmp_path / "new" / "page.html", "text")
    assert (tmp_path / "new" / "page.html").read_text() == "text"


def test_a_page_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the path")
    with pytest.raises(StorageError, match="file"):
        html_page.write_page(tmp_path / "file" / "page.html", "text")
