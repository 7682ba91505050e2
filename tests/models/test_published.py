"""Trained models that don't come with the package: downloaded once, verified, and a one-line error if that fails."""

import json
import re
import shutil

import pytest
import torch

from minivit.data import DataError
from minivit.models import create_model, list_pretrained, pretrained
from minivit.training import Config, load_model, train
from tools import pretrained as tool

NAME = "vit_nano_patch4_32"
SIZE = dict(image_size=8, in_channels=1, dim=33, depth=2, num_heads=3, num_classes=10)
CB = SIZE | {"context": "cb"}
DEAD = "http://127.0.0.1:9/file.bin"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "cb/seed3"
    train(Config(dataset="digits", model=NAME, train_images=103, epochs=1, batch_size=41, seed=3, crop_padding=1,
                 warmup_epochs=0.5, model_options=CB), folder, device="cpu", progress=False)
    return folder


@pytest.fixture
def release(run, tmp_path, monkeypatch):
    """A package without weights, results with the record of the run, a folder for releases, and no cache."""
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path / "package")
    monkeypatch.setattr(tool, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(tool, "RELEASE", tmp_path / "release")
    monkeypatch.setenv("MINIVIT_WEIGHTS", str(tmp_path / "cache"))
    shutil.copytree(run, tmp_path / "results/cb/seed3", ignore=shutil.ignore_patterns("*.pt", "*.safetensors"))
    return tmp_path / "release"


@pytest.fixture
def packed(release, run):
    """The file for the release."""
    tool.main(["--release", str(run)])
    return next(release.iterdir())


def publish(url):
    """Say in the package where the file is."""
    path = pretrained.FOLDER / pretrained.TABLE
    entry, = json.loads(path.read_text(encoding="utf-8"))
    entry["asset"]["url"] = url
    path.write_text(json.dumps([entry]), encoding="utf-8")


def make():
    return create_model(NAME, pretrained=True, **CB)


def test_the_tool_makes_the_file_and_its_entry(release, run, capsys):
    tool.main(["--release", str(run)])
    file, = release.iterdir()
    it, = list_pretrained()
    assert it.file == file.name == f"{NAME}_cb-{it.asset.sha256[:8]}.safetensors"
    assert (it.name, it.options, it.seed, it.record) == (NAME, CB, 3, "cb/seed3")
    assert it.asset.num_bytes == file.stat().st_size and it.asset.url is None
    told = capsys.readouterr().out
    assert f"{file}: 0.06 MB" in told and f"{it.asset.num_bytes} bytes, sha256 {it.asset.sha256}" in told
    assert not list(pretrained.FOLDER.glob("*.safetensors"))


def test_the_tool_says_in_the_entry_where_the_file_is(packed, run, capsys):
    tool.main(["--release", "--url", "https://example.org/v1/", str(run)])
    it, = list_pretrained()  # in place of the entry that there was
    assert it.asset.url == f"https://example.org/v1/{packed.name}" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        tool.main(["--url", "https://example.org/v1/", str(run)])


def test_a_file_that_is_too_large_for_a_release_is_told(release, run, monkeypatch):
    monkeypatch.setattr(tool, "RELEASE_LIMIT_MB", 0.05)
    with pytest.raises(SystemExit, match="would take 0.1 MB, more than 0.05 MB; use a smaller model$"):
        tool.main(["--release", str(run)])
    assert not release.exists() and list_pretrained() == []


def test_it_is_fetched_once_and_is_the_trained_model(packed, run, serve):
    source = serve(packed.read_bytes())
    publish(source.url)
    model, trained = make(), load_model(run)[0].state_dict()
    assert not model.training
    assert all(torch.equal(weight, trained[name].half().float()) for name, weight in model.state_dict().items())
    cached = list_pretrained()[0].path
    assert cached.read_bytes() == packed.read_bytes() and list(cached.parent.iterdir()) == [cached]
    publish(DEAD)
    make()  # without a network
    assert create_model(NAME, pretrained=True, **CB | {"num_classes": 7}).head.out_features == 7
    assert source.requests == [None]


def test_it_is_told_in_a_line_that_a_file_is_not_published_yet(packed):
    it, = list_pretrained()
    with pytest.raises(DataError, match=re.escape(f"{it}: its weights are not published yet")) as failure:
        make()
    assert "results/cb/seed3/run.json" in str(failure.value) and "\n" not in str(failure.value)
    assert f"put the file {packed.name} into {it.path.parent}" in str(failure.value)
    it.path.parent.mkdir()
    shutil.copy(packed, it.path)
    make()


@pytest.mark.parametrize("content, told", [
    (None, "refused"),
    (b"sorry", "sha256 is "),
])
def test_what_cannot_be_fetched_is_told_in_a_line(packed, serve, content, told):
    publish(DEAD if content is None else serve(content).url)
    with pytest.raises(DataError, match=f"{packed.name} could not be downloaded from http.*{told}") as failure:
        make()
    assert "\n" not in str(failure.value) and not list_pretrained()[0].path.exists()


def test_a_download_that_was_cut_goes_on(packed, serve):
    content = packed.read_bytes()
    publish(serve(content, cut=20_011).url)
    with pytest.raises(DataError, match=f"the connection ended after 20011 of {len(content)} bytes"):
        make()
    source = serve(content)
    publish(source.url)
    make()
    assert source.requests == ["bytes=20011-"]


def test_a_file_that_was_changed_is_told(packed, serve):
    publish(serve(packed.read_bytes()).url)
    make()
    path = list_pretrained()[0].path
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(DataError, match=f"{path} already exists .*delete it to fetch it again"):
        make()


def test_a_folder_that_cannot_be_is_told(packed, serve, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("MINIVIT_WEIGHTS", str(tmp_path / "file"))
    publish(serve(packed.read_bytes()).url)
    with pytest.raises(DataError, match="cannot be written: .*; choose another folder with MINIVIT_WEIGHTS"):
        make()


def test_the_folder_is_beside_the_data_sets_unless_another_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("MINIVIT_WEIGHTS", "~/mine")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert pretrained.weights_root() == tmp_path / "mine"
    monkeypatch.setenv("MINIVIT_WEIGHTS", "")
    assert pretrained.weights_root() == tmp_path / ".cache/minivit/weights"
    monkeypatch.setenv("MINIVIT_WEIGHTS", "~nobody-of-this-name/mine")
    with pytest.raises(ValueError, match="MINIVIT_WEIGHTS='~nobody-of-this-name/mine' is not allowed"):
        pretrained.weights_root()


def test_what_was_not_trained_is_told_what_was(packed):
    it, = list_pretrained()
    with pytest.raises(ValueError, match=re.escape(f"no such model was trained; there are {it}")):
        create_model(NAME, pretrained=True, **SIZE)


@pytest.mark.parametrize("text", ["[", "[{}]", '[{"file": "a", "asset": {}}]', "[1]", "{}x"])
def test_a_damaged_table_is_named(packed, text):
    path = pretrained.FOLDER / pretrained.TABLE
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=f"{path} is damaged .*; install minivit again"):
        list_pretrained()
