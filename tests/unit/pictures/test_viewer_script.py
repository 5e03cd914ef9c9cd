import pytest

from templ.errors import InputError
from templ.pictures import viewer_script
from templ.pictures.viewer_script import read_viewer


@pytest.fixture(autouse=True)
def _not_remembered():
    read_viewer.cache_clear()
    yield
    read_viewer.cache_clear()


def test_it_is_3dmol_and_nothing_else():
    script = read_viewer()
    assert script.startswith("window.$3Dmol = (()=>")
    assert script.endswith(")();")
    assert "createViewer" in script
    assert "plotly" not in script
    assert 300_000 < len(script) < 1_000_000


@pytest.mark.parametrize(
    ("package", "file", "complaint"),
    [
        ("no_such_package", "x", r"pip install 'templ-pose\[report\]'"),
        ("jinja2", "no_such_file.js", "force-reinstall"),
        ("jinja2", "__init__.py", "has no 3Dmol"),
    ],
)
def test_without_it(monkeypatch, package, file, complaint):
    monkeypatch.setattr(viewer_script, "PACKAGE", package)
    monkeypatch.setattr(viewer_script, "FILE", file)
    with pytest.raises(InputError, match=complaint):
        read_viewer()
