import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

from minivit.__main__ import main
from minivit.analysis import cost
from minivit.bench import models as bench_module
from minivit.bench.kernels import CATEGORIES, OPTIMISER, REST, by_category
from minivit.bench.models import OURS, PHASES, Subject, bench, table
from minivit.bench.peers import create_peers
from minivit.bench.recipes import Run, bench_recipe
from minivit.data import load
from minivit.models import PiT, ViT, create_model
from minivit.models.registry import MODELS
from minivit.training import Trainer, load_variants

NAME = "vit_test_patch2_6"
SIZES = {"image_size": 6, "patch_size": 2, "num_classes": 7, "dim": 12, "depth": 2, "num_heads": 3}
BATCH, ROUNDS = 5, 3


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """A tiny model, short turns, and no peers, whether they are installed or not."""
    monkeypatch.setitem(MODELS, NAME, (ViT, SIZES))
    monkeypatch.setattr(bench_module, "TURN_S", 0.0)
    monkeypatch.setattr(bench_module, "MATRIX_SIDES", (13, 17))
    for library in ("timm", "timm.models.vision_transformer", "vit_pytorch", "vit_pytorch.vit"):
        monkeypatch.setitem(sys.modules, library, None)


@pytest.fixture
def fake_timm(monkeypatch):
    """A library with timm's name; returns the arguments that its model was made with."""
    seen = []

    def vision_transformer(**options):
        print("a library talks")
        seen.append(options)
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * options["img_size"]**2, options["num_classes"]))

    library = ModuleType("timm.models.vision_transformer")
    library.VisionTransformer = vision_transformer
    for name, module in (("timm", ModuleType("timm")), ("timm.models", ModuleType("timm.models")),
                         ("timm.models.vision_transformer", library)):
        monkeypatch.setitem(sys.modules, name, module)
    return seen


def run(**options):
    told = []
    result = bench([NAME], **{"batch_size": BATCH, "rounds": ROUNDS, "device": "cpu", "tell": told.append} | options)
    return result, told


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_numbers_fit_each_other(precision):
    result, _ = run(precision=precision)
    subjects = result["models"][NAME]
    assert subjects.keys() == {OURS, f"{OURS}, cb"}
    for key, context in ((OURS, "none"), (f"{OURS}, cb", "cb")):
        counted = cost(create_model(NAME, context=context), SIZES["image_size"])
        assert (subjects[key]["params"], subjects[key]["macs"]) == (counted.params, counted.macs)
        for phase, passes in (("forward", 1), ("training", 3)):
            got, ours = subjects[key][phase], subjects[OURS][phase]
            assert len(got["step_times_s"]) == ROUNDS and min(got["step_times_s"]) > 0
            assert got["step_time_s"] == np.median(got["step_times_s"])
            assert got["images_per_second"] * got["step_time_s"] == pytest.approx(BATCH)
            assert got["peak_share"] * result["matrix_peak_macs_per_second"] == pytest.approx(
                passes * counted.macs * BATCH / got["step_time_s"])
            ratios = np.divide(got["step_times_s"], ours["step_times_s"])
            assert got["time_ratio"]["median"] == pytest.approx(np.median(ratios))
            assert min(ratios) <= got["time_ratio"]["low"] <= got["time_ratio"]["high"] <= max(ratios)
    assert all(subjects[OURS][phase]["time_ratio"] == {"median": 1, "low": 1, "high": 1} for phase in PHASES)


def test_training_holds_gradients_and_two_moments_that_a_forward_pass_does_not():
    result, _ = run()
    memory = {phase: result["models"][NAME][OURS][phase]["peak_memory_bytes"] for phase in PHASES}
    weights = 4 * result["models"][NAME][OURS]["params"]
    assert memory["forward"] > weights
    assert memory["training"] > 4 * weights


def test_a_training_step_is_adamw_on_the_cross_entropy():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3, 2))
    images, labels = torch.randn(5, 3, 1, 1), torch.tensor([0, 1, 1, 0, 1])
    subject = Subject(model, images, labels, precision="float32", compiled=False)
    before = [p.detach().clone() for p in model.parameters()]
    subject.prepare("forward")()
    assert not model.training and all(torch.equal(p, q) for p, q in zip(before, model.parameters(), strict=True))
    loss = nn.functional.cross_entropy(model(images), labels)
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    subject.prepare("training")()
    assert model.training and all(p.grad is None for p in model.parameters())
    for p, old, gradient in zip(model.parameters(), before, gradients, strict=True):
        # The first step of Adam has the length of the rate in each coordinate.
        torch.testing.assert_close(p.detach(), old * (1 - 1e-4 * 0.05) - 1e-4 * gradient.sign(), rtol=0, atol=1e-6)


def test_a_missing_peer_is_told_with_the_reason_and_the_rest_is_measured():
    result, told = run()
    assert result["missing"].keys() == {"timm", "vit-pytorch"}
    assert told == [f"{peer} is not measured: {why}" for peer, why in result["missing"].items()]
    assert "ModuleNotFoundError: import of timm" in result["missing"]["timm"]


def test_a_peer_that_fails_in_its_own_way_is_missing_too(fake_timm, monkeypatch):
    def fail(**_):
        raise RuntimeError("operator torchvision::nms\ndoes not exist")

    monkeypatch.setattr(sys.modules["timm.models.vision_transformer"], "VisionTransformer", fail)
    peers, missing = create_peers(**SIZES)
    assert not peers and missing["timm"] == "RuntimeError: operator torchvision::nms does not exist"


def test_a_peer_is_made_at_our_sizes_and_measured(fake_timm):
    result, told = run()
    assert fake_timm == [{"img_size": 6, "patch_size": 2, "num_classes": 7,
                          "embed_dim": 12, "depth": 2, "num_heads": 3}]
    assert len(told) == 1 and told[0].startswith("vit-pytorch is not measured: ")
    timm = result["models"][NAME]["timm"]
    assert timm["params"] == 3 * 6 * 6 * 7 + 7 and timm["macs"] == 3 * 6 * 6 * 7
    assert timm["training"]["time_ratio"]["median"] > 0


def test_the_command_prints_a_table_or_one_json_object(fake_timm, capsys):
    arguments = ["bench", "--models", NAME, "--batch-size", "5", "--rounds", "2", "--device", "cpu"]
    assert main([*arguments, "--json"]) == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert result.keys() >= {"device", "versions", "commit", "batch_size", "precision", "rounds", "models", "missing"}
    assert captured.err.startswith("a library talks\nminivit: vit-pytorch is not measured: ")
    assert captured.err.count("\n") == 2
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    assert [line.split("  ")[0] for line in lines if line.endswith("]")] == ["minivit", "minivit, cb", "timm"] * 2
    assert table(result).splitlines()[:2] == lines[:2]


def test_each_training_step_is_profiled_kernel_by_kernel(fake_timm, recipe, capsys):
    result, _ = run(kernels=True)
    for key, got in result["models"][NAME].items():
        rows, spent = got["training"]["kernels"], by_category(got["training"]["kernels"])
        assert spent.keys() <= {*CATEGORIES, REST} and sum(spent.values()) > 0
        updates = [row for row in rows if row["name"] == "aten::_fused_adamw_"]
        assert {row["category"] for row in updates} == {OPTIMISER}
        assert sum(row["calls"] for row in updates) == 1  # all parameters at once
        # Backward, a linear layer has two products: in each block four such layers, and the head. timm's, the first of
        # all, has only that for its weight.
        products = 1 if key == "timm" else 2 * (4 * SIZES["depth"] + 1)
        assert sum(row["calls"] for row in rows if row["name"] == "aten::mm") == products
    assert "ms of a step's kernels" in table(result)
    assert main(["bench", "--recipe", str(recipe), "--variants", "less", "--rounds", "1", "--device", "cpu",
                 "--kernels"]) == 0
    assert "two, ms of a step's kernels" in capsys.readouterr().out


def test_a_model_without_peers_is_measured_too(monkeypatch):
    sizes = dict(image_size=11, patch_size=3, stride=2, num_classes=5, dims=(6, 12), depths=(1, 2), num_heads=(1, 2))
    monkeypatch.setitem(MODELS, "pit_test", (PiT, sizes))
    result = bench(["pit_test"], batch_size=2, rounds=1, device="cpu")
    assert result["models"]["pit_test"].keys() == {OURS, f"{OURS}, cb"} and not result["missing"]


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "two.py"
    options = dict(image_size=8, patch_size=4, in_channels=1, dim=12, depth=2, num_heads=3)
    path.write_text(f"""
def get_config():
    return dict(model="vit_nano_patch4_32", model_options={options}, dataset="digits", batch_size=5, epochs=3,
                optimizer="muon", crop_padding=1, patch_dropout=(0.0, 0.5), warmup_epochs=0.0)


def get_variants():
    return dict(plain={{}}, less=dict(model_options=dict(attention_layers=(0,)), diagonality=0.5, patch_dropout=(0.0,)))
""")
    return path


def test_variants_of_a_recipe_take_the_steps_of_their_runs(recipe, capsys):
    result = bench_recipe(recipe, rounds=2, device="cpu")
    subjects = result["models"]["two"]
    assert list(subjects) == ["plain", "less"] and result["batch_size"] == 5
    assert subjects["less"]["macs"] != subjects["plain"]["macs"]
    assert len(subjects["less"]["training"]["step_times_s"]) == 2
    assert subjects["less"]["training"]["peak_memory_bytes"] > 3 * 4 * subjects["less"]["params"]
    assert main(["bench", "--recipe", str(recipe), "--variants", "less", "--rounds", "1", "--device", "cpu"]) == 0
    assert "two, training" in capsys.readouterr().out
    assert main(["bench", "--recipe", str(recipe), "--rounds", "1", "--device", "cpu", "--json", "batch_size=3",
                 "model_options.dim=6"]) == 0
    changed = json.loads(capsys.readouterr().out)
    assert changed["batch_size"] == 3
    assert changed["models"]["two"]["plain"]["params"] < subjects["plain"]["params"]


def test_a_recipe_may_be_a_segmentation():
    path = Path(__file__).parents[2] / "recipes/shapes_vit_nano_segmentation.py"
    result = bench_recipe(path, overrides=dict(batch_size=2, train_images=4), rounds=1, device="cpu")
    assert result["batch_size"] == 2 and path.stem in result["models"]


@pytest.mark.parametrize("option", ["batch_size=4", "compile='default'"])
def test_variants_that_differ_in_more_than_the_model_are_not_compared(recipe, option):
    recipe.write_text(recipe.read_text().replace("diagonality=0.5", option))
    with pytest.raises(ValueError, match="variant 'less' has.*but the first has"):
        bench_recipe(recipe, rounds=1, device="cpu")
    assert bench_recipe(recipe, names=["plain"], rounds=1, device="cpu")["batch_size"] == 5


def test_a_step_is_the_first_of_the_run(recipe):
    config = load_variants(recipe)["less"].override(model_options={"num_classes": 10})
    one, other = (Run(Trainer(config, load("digits"), torch.device("cpu"))) for _ in range(2))
    for _ in range(2):
        one.prepare("training")()
    other.prepare("training")()
    other.trainer.step = 0
    other.trainer.train_step(other.images, other.targets)
    for p, q in zip(one.model.parameters(), other.model.parameters(), strict=True):
        assert torch.equal(p, q)


@pytest.mark.parametrize("arguments, message", [
    (["--rounds", "many"], "rounds='many'"),
    (["--rounds", "0"], "rounds=0 must be at least 1"),
    (["--batch-size", "-1"], "batch_size=-1 must be at least 1"),
    (["--precision", "float16"], "precision='float16'"),
    (["--models", NAME, "vit_tiny"], "did you mean 'vit_tiny_patch4_32'"),
    (["--device", "abacus"], "device='abacus'"),
    (["--variants", "cb"], "--variants cb needs --recipe"),
    (["batch_size=3"], "batch_size=3 needs --recipe"),
    (["--recipe", "none.py", "nonsense"], "'nonsense' must be KEY=VALUE"),
    (["--recipe", "none.py", "--batch-size", "3"], "batch_size and recipe='none.py' do not go together"),
    (["--recipe", "none.py"], "none.py does not exist"),
    (["--decode", "--kernels"], "kernels and --decode do not go together"),
])
def test_a_mistake_is_one_line(arguments, message, capsys):
    assert main(["bench", *arguments]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("minivit: error: ") and captured.err.count("\n") == 1
    assert message in captured.err and not captured.out
