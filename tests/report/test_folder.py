import io
import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch import nn

from minivit.data import load
from minivit.models import create_model
from minivit.report.analyze import analyze
from minivit.report.figures import draw_figures, draw_robustness, draw_rollout
from minivit.report.folder import report, save_figures, table
from minivit.training import CheckpointError, Config
from minivit.training.checkpoint import save_weights

OPTIONS = dict(image_size=8, patch_size=4, in_channels=1, num_classes=10, dim=12, depth=3, num_heads=3)


def save_run(folder, **options):
    """Save an untrained model as the run of it would."""
    torch.manual_seed(0)
    config = Config(dataset="digits", seed=5, model_options=OPTIONS | options)
    folder.mkdir()
    save_weights(folder / "model.safetensors", create_model(config.model, **config.model_options), config)
    return folder


def files(*figures):
    return {"analysis.json"} | {f"{name}.{kind}" for name in figures for kind in ("png", "svg")}


def test_the_folder_holds_the_numbers_and_the_figures(tmp_path):
    run = save_run(tmp_path / "run", context="cb_s")
    result, out = report(run, images=5, epsilon=2.0, seed=3, progress=False)
    figures = ("entropy", "distance", "similarity", "scale", "robustness", "rollout")
    files = {f"{name}.{kind}" for name in figures for kind in ("png", "svg")}
    assert out == run / "analysis" and {path.name for path in out.iterdir()} == {"analysis.json"} | files
    assert json.loads((out / "analysis.json").read_text()) == json.loads(json.dumps(result))  # JSON knows no tuples
    assert result["config"]["model_options"] == OPTIONS | {"context": "cb_s"} and result["config"]["seed"] == 5
    assert (result["images"], result["seed"], result["epsilon"]) == (5, 3, 2.0)
    assert result.keys() >= {"commit", "device", "precision", "versions", "started"}
    assert all((out / f"{name}.png").read_bytes().startswith(b"\x89PNG") for name in figures)
    assert all(b"</svg>" in (out / f"{name}.svg").read_bytes() for name in figures)


def test_the_same_analysis_gives_the_same_files(tmp_path, monkeypatch):
    monkeypatch.setattr("minivit.report.folder.draw_figures",
                        lambda result, *_: {"robustness": draw_robustness(result["robustness"], "black")})
    run = save_run(tmp_path / "run")
    one, other = (report(run / "model.safetensors", tmp_path / name, images=2, progress=False)
                  for name in ("one", "other"))
    assert one[0] | {"started": None} == other[0] | {"started": None}
    for name in ("robustness.png", "robustness.svg"):
        assert (one[1] / name).read_bytes() == (other[1] / name).read_bytes()


def test_the_settings_of_the_user_do_not_show(tmp_path, monkeypatch):
    matplotlib = pytest.importorskip("matplotlib")
    monkeypatch.setattr("minivit.report.folder.draw_figures",
                        lambda result, *_: {"robustness": draw_robustness(result["robustness"], "black")})
    run = save_run(tmp_path / "run")
    _, plain = report(run, tmp_path / "plain", images=2, progress=False)
    with matplotlib.rc_context({"text.usetex": True, "savefig.transparent": True, "axes.labelsize": 30}):
        _, other = report(run, tmp_path / "other", images=2, progress=False)
        assert matplotlib.rcParams["text.usetex"]
    assert (plain / "robustness.png").read_bytes() == (other / "robustness.png").read_bytes()


@pytest.mark.parametrize("without, figures", [
    ((), {"robustness", "entropy", "distance", "similarity", "scale", "rollout"}),
    (("scale",), {"robustness", "entropy", "distance", "similarity", "rollout"}),
    (("scale", "attention"), {"robustness"})])
def test_there_is_a_figure_for_what_there_is_to_show(without, figures):
    model, dataset = create_model("vit_nano_patch4_32", **OPTIONS | {"context": "cb_s"}), load("digits")
    result = analyze(model, dataset, images=3, progress=False) | {"config": {"model_options": {}}}
    drawn = draw_figures(result | dict.fromkeys(without), model, dataset, torch.arange(2))
    assert drawn.keys() == figures


def test_where_tokens_change_with_the_layer_there_is_no_rollout():
    class Pyramid(nn.Linear):
        def forward(self, images, return_attention):
            return None, [torch.full((len(images), 2, n, n), 1 / n) for n in (17, 5)]

    assert draw_rollout(Pyramid(1, 1), load("digits"), torch.arange(2)) is None


def test_the_table_has_every_layer_and_every_condition(tmp_path, monkeypatch):
    monkeypatch.setattr("minivit.report.folder.draw_figures", lambda *_: {})
    result, _ = report(save_run(tmp_path / "run", context="cb_s"), images=5, progress=False)
    attention, scale, robustness = (part.splitlines() for part in table(result).split("\n\n"))
    assert (len(attention), len(scale), len(robustness)) == (1 + 3, 1 + 2, 1 + 8)
    assert attention[1].split()[:3] == ["1", "5", "1.6094"]  # ln 5, of four patches and the class token
    assert scale[1].split() == ["2", "0.0000", "-"]
    assert robustness[1].split() == ["clean", f"{result['robustness']['clean']:.4f}"]


def test_names_of_classes_are_drawn_as_they_are():
    digits = load("digits")
    names = ("b$5_$", "$10^ off$", "_under", r"back\slash_{", *digits.classes[4:])
    figure = draw_rollout(create_model("vit_nano_patch4_32", **OPTIONS), replace(digits, classes=names),
                          torch.stack([(digits.test.labels == label).nonzero()[0, 0] for label in range(4)]))
    figure.savefig(io.BytesIO())
    assert [ax.get_title() for ax in figure.axes[:4]] == list(names[:4])


def test_characters_that_no_font_has_are_told_once(tmp_path, caplog):
    digits = replace(load("digits"), classes=("\ue000\ue001",) * 10)
    figure = draw_rollout(create_model("vit_nano_patch4_32", **OPTIONS), digits, torch.arange(2))
    save_figures(tmp_path, {"one": figure, "two": figure})
    assert len(caplog.records) == 1 and "class names" in caplog.text
    assert {path.name for path in tmp_path.iterdir()} == {"one.png", "one.svg", "two.png", "two.svg"}


@pytest.mark.parametrize("options", [{"images": 0}, {"images": 361}, {"seed": -1}, {"epsilon": "much"}])
def test_a_wrong_value_leaves_nothing_behind(tmp_path, options):
    run = save_run(tmp_path / "run")
    with pytest.raises(ValueError, match=next(iter(options))):
        report(run, progress=False, **options)
    assert not (run / "analysis").exists()


def test_a_folder_that_cannot_be_written_is_told_before_the_analysis(tmp_path, monkeypatch):
    run, out = save_run(tmp_path / "run"), tmp_path / "out"
    out.write_text("a file")
    monkeypatch.setattr("minivit.report.folder.analyze", None)
    with pytest.raises(CheckpointError, match=f"cannot write to {out}: File exists; choose another --out"):
        report(run, out, progress=False)
    assert out.read_text() == "a file"


def test_the_figures_need_no_notebook():
    code = "import sys; sys.modules['IPython'] = None; import matplotlib; from minivit.figures import book_style\n" \
           "with matplotlib.rc_context(book_style()): pass"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_matplotlib_the_error_names_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ValueError, match="pip install matplotlib"):
        report(save_run(tmp_path / "run"), progress=False)


def test_a_backend_that_matplotlib_does_not_know_is_told(tmp_path):
    run = save_run(tmp_path / "run")
    done = subprocess.run([sys.executable, "-m", "minivit", "analyze", run, "--images", "2", "--device", "cpu"],
                          env=os.environ | {"MPLBACKEND": "nonsense"}, capture_output=True, encoding="utf-8")
    assert done.returncode == 1 and done.stderr.count("\n") <= 2  # the run doesn't know its classes
    assert "'nonsense' is not a valid value" in done.stderr and "; unset MPLBACKEND" in done.stderr
