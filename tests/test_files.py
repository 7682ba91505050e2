from minivit import files
from minivit.files import shipped


def test_what_is_shipped_is_found_inside_an_installed_package_and_beside_a_cloned_one(tmp_path, monkeypatch):
    package = tmp_path / "minivit"
    (tmp_path / "results").mkdir()
    monkeypatch.setattr(files, "__file__", str(package / "files.py"))
    assert shipped("results") == tmp_path / "results"
    (package / "results").mkdir(parents=True)
    assert shipped("results") == package / "results"
