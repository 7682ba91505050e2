"""A recipe's step, timed in several ways and by kernel, as far as a CPU goes."""

import json

import pytest
import torch
import torch.nn.functional as F

from minivit.bench.kernels import CATEGORIES, REST, category
from minivit.bench.recipes import Run
from minivit.data import load
from minivit.mixers import attention
from minivit.tasks.task import Task
from minivit.training import Trainer, load_config
from minivit.training.data import fit_classes
from tests.step_records import check_step_record, is_step_record
from tools.step_times import EVERYTHING, WAYS, Way, choose_ways, main, prepare, step_times

MODEL = dict(image_size=8, patch_size=2, in_channels=1, dim=12, depth=2, num_heads=3)
CPU = torch.device("cpu")


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "small.py"
    path.write_text(f"""
def get_config():
    return dict(model="vit_nano_patch4_32", model_options={MODEL}, dataset="digits", batch_size=7, epochs=3,
                optimizer="muon", crop_padding=1, patch_dropout=(0.0, 0.5), warmup_epochs=0.0, ema_decay=0.9)
""")
    return path


@pytest.fixture
def uncompiled(monkeypatch):
    """The ways as they are, but for the compiler, which takes longer than a test."""
    for name in ("half", "no_augmentation", "cb", "tanh", "adamw", "batch_1024"):
        way = WAYS[name]
        monkeypatch.setitem(WAYS, name, way._replace(changes=way.changes | {"compile": "none"}))


def test_the_ways_take_turns_and_each_changes_what_it_says(recipe, uncompiled):
    result = step_times(recipe, names=["eager", "half", "cb"], device="cpu", rounds=3, train_images=29)
    assert (result["recipe"], result["batch_size"], list(result["steps"])) == ("small", 7, ["eager", "half", "cb"])
    for name, step in result["steps"].items():
        assert step["what"] == WAYS[name].what and len(step["step_times_s"]) == 3 and min(step["step_times_s"]) > 0
        assert step["images_per_second"] * step["step_time_s"] == pytest.approx(7)
    assert result["steps"]["eager"]["time_ratio"]["median"] == 1
    assert result["matrix_peak_macs_per_second"] > 0 and "kernels" not in result


@pytest.mark.parametrize("name, dropped, context", [("eager", 0.0, False), ("half", 0.5, False), ("cb", 0.0, True)])
def test_a_way_is_the_run_of_its_recipe_with_one_change(recipe, uncompiled, name, dropped, context):
    dataset, way = load("digits"), WAYS[name]
    config = fit_classes(load_config(recipe).override(**EVERYTHING).override(**way.changes), dataset)
    run = prepare(way, config, dataset, CPU)
    run.prepare("training")()
    assert run.model.patch_dropout.rate == dropped
    assert any("context" in type(module).__module__ and type(module).__name__ != "Identity"
               for module in run.model.modules()) == context


def test_kernels_and_batches_can_be_others(recipe, uncompiled):
    result = step_times(recipe, names=["eager", "tanh", "adamw", "batch_1024"], device="cpu", rounds=1)
    assert [step["batch_size"] for step in result["steps"].values()] == [7, 7, 7, 1024]
    dataset, form = load("digits"), {}
    for name in ("eager", "tanh", "adamw"):
        config = fit_classes(load_config(recipe).override(**EVERYTHING).override(**WAYS[name].changes), dataset)
        run = prepare(WAYS[name], config, dataset, CPU)
        form[name] = run.model.blocks[0].mlp.act.approximate, len(run.optimizers)
    assert form == {"eager": ("none", 2), "tanh": ("tanh", 2), "adamw": ("none", 1)}
    assert torch.nn.GELU().approximate == "none"


@pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated")  # torch uses it itself
def test_attention_and_loss_can_be_computed_by_other_kernels_for_a_while():
    x, mine, loss = torch.ones(1, 1, 2, 4), attention.fits_one_kernel, Task.loss
    with WAYS["efficient"].around(), pytest.raises(RuntimeError, match="No (viable|available)"):  # a CPU has none
        assert not attention.fits_one_kernel(x, x, x)
        F.scaled_dot_product_attention(x, x, x)
    with WAYS["flash"].around():
        F.scaled_dot_product_attention(x, x, x)
    with WAYS["fused_loss"].around():
        assert Task.loss is not loss
    assert (attention.fits_one_kernel, Task.loss) == (mine, loss)


def test_the_kernels_of_a_step_are_told_apart_by_what_they_are_for(recipe):
    dataset = load("digits")
    config = fit_classes(load_config(recipe).override(compile="none"), dataset)
    rows = Run(Trainer(config, dataset, CPU)).kernels()
    assert {row["category"] for row in rows} <= {*CATEGORIES, REST}
    assert [row["us"] for row in rows] == sorted((row["us"] for row in rows), reverse=True)
    # Muon's three products in five rounds for each of four shapes; the model has none of this name.
    calls = {row["name"]: row["calls"] for row in rows if row["category"] == "optimiser"}
    assert calls["aten::baddbmm"] == 2 * 5 * 4
    assert sum(row["us"] for row in rows if row["category"] == "matrix products") > 0


@pytest.mark.parametrize("name, title", [
    ("cudnn_generated_fort_native_sdpa_sm90_flash_bprop_wgmma_f16_knob_26", "attention"),
    ("_backward", "attention"),
    ("triton_poi_fused_cat_transpose_view_10", "attention"),
    ("triton_red_fused_gelu_gelu_backward_sum_view_5", "GELU"),
    ("nvjet_sm90_tst_192x192_64x4_2x1_v_bz_coopB_bias_TNN", "matrix products"),
    ("void at::native::(anonymous namespace)::multi_tensor_apply_kernel<at::native::(anonymou", "optimiser"),
    ("triton_poi_fused__to_copy_arange_constant_pad_nd_flip_index_lt_select_unfold_view_where", "augmentation"),
    ("triton_per_fused__to_copy_native_layer_norm_0", "norms and residual sums"),
    ("triton_poi_fused_add_div_mul_view_10", "norms and residual sums"),
    ("Memset (Unknown)", REST),
])
def test_a_kernel_s_name_says_what_it_is_for(name, title):
    assert category(name) == title


def test_the_command_prints_a_table_or_one_json_object_that_is_a_record(recipe, capsys):
    arguments = [str(recipe), "--ways", "eager", "--device", "cpu", "--rounds", "6", "--train-images", "7", "--kernels"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "% of matrix peak" in out and WAYS["eager"].what in out and "optimiser" in out
    assert main([*arguments, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert is_step_record(record) and record["steps"].keys() == {"eager"} and record["kernels"]
    check_step_record(record)


def test_a_cpu_has_no_graphs():
    assert choose_ways(None, CPU).keys() == {name for name, way in WAYS.items() if not way.needs_graphs | way.if_named}
    assert choose_ways(None, torch.device("cuda")).keys() == {name for name, way in WAYS.items() if not way.if_named}
    assert all(isinstance(way, Way) and way.what for way in WAYS.values())


def test_a_full_gpu_and_missing_data_are_told_in_one_line(recipe, monkeypatch, capsys):
    def full(*_):
        raise torch.OutOfMemoryError("GPU 0 has a total capacity of 79.1 GiB")

    monkeypatch.setattr("tools.step_times.prepare", full)
    assert main([str(recipe), "--ways", "eager", "--device", "cpu"]) == 1
    assert capsys.readouterr().err == "step_times: error: out of memory (79.1 GiB in all); try a smaller batch_size\n"
    recipe.write_text(recipe.read_text().replace('"digits"', '"cifar100"'))
    assert main([str(recipe), "--ways", "eager", "--device", "cpu", "--data", str(recipe.parent)]) == 1
    assert capsys.readouterr().err.startswith("step_times: error: ")


@pytest.mark.parametrize("arguments, message", [
    (["--ways", "graph"], "ways='graph' must be one of eager"),
    (["--ways", "fast"], "ways='fast' must be one of eager"),
    (["--rounds", "0"], "rounds=0 must be at least 1"),
    (["--train-images", "-3"], "train_images=-3"),
])
def test_a_mistake_is_one_line(recipe, arguments, message, capsys):
    assert main([str(recipe), "--device", "cpu", *arguments]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("step_times: error: ") and captured.err.count("\n") == 1
    assert message in captured.err and not captured.out
