import io
import json
import logging
import os
import pickle
import re
import struct
import sys

import pytest
import torch
from PIL import Image

import minivit.__main__
from minivit.__main__ import main, read_value
from minivit.training import Config, Stopped, load_config
from minivit.training.config import FIELDS, describe_setting

RECIPE = '''
def get_config():
    return dict(dataset="digits", epochs=1, train_images=50, warmup_epochs=0.0, crop_padding=0,
                model_options=dict(image_size=8, patch_size=4, in_channels=1, dim=12, depth=2, num_heads=3))
'''


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "recipe.py"
    path.write_text(RECIPE)
    return str(path)


@pytest.fixture
def configs(monkeypatch):
    """The configurations of the trainings that were asked for, and not done."""
    seen = []
    monkeypatch.setattr(minivit.__main__, "train", lambda config, *_, **__: seen.append(config) or [
        {"time_s": 0, "test_top1": 0, "test_top5": 0, "test_miou": 0, "test_pixel_accuracy": 0}])
    return seen


def test_train_then_eval_then_train_again_from_the_record(recipe, tmp_path, capsys):
    out = tmp_path / "run"
    options = ["--seed", "3", "--model-options", "context=cb", "drop_path=0.1"]
    assert main(["train", recipe, "--out", str(out), *options]) == 0
    trained = capsys.readouterr().out.splitlines()[-1]
    assert main(["eval", str(out)]) == 0
    evaluated = capsys.readouterr().out
    top1 = trained.split("top-1 ")[1].split(" %")[0]
    assert f"top-1 {top1} %" in evaluated and "360 test images of digits" in evaluated
    again = tmp_path / "again"
    assert main(["train", str(out / "run.json"), "--out", str(again)]) == 0
    assert (again / "model.safetensors").read_bytes() == (out / "model.safetensors").read_bytes()


def test_analyze_writes_the_numbers_and_tells_them(recipe, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("minivit.report.folder.draw_figures", lambda *_: {})
    run, out = tmp_path / "run", tmp_path / "out"
    assert main(["train", recipe, "--out", str(run), "--model-options", "context=cb_s"]) == 0
    capsys.readouterr()
    assert main(["analyze", str(run), "--out", str(out), "--images", "7", "--epsilon", "0.5", "--seed", "3"]) == 0
    printed = capsys.readouterr().out
    result = json.loads((out / "analysis.json").read_text())
    assert (result["images"], result["epsilon"], result["seed"]) == (7, 0.5, 3)
    assert f"{result['attention']['entropy_mean'][0]:.4f}" in printed
    assert f"vit_nano_patch4_32 on 7 test images of digits, FGSM of 0.5; everything is in {out}" in printed
    assert main(["analyze", str(run), "--images", "361"]) == 1
    assert capsys.readouterr().err == "minivit: error: images=361 must be in 1 ... 360, the test images of digits\n"
    assert not (run / "analysis").exists()


def test_eval_and_analyze_on_some_classes_alone(recipe, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("minivit.report.folder.draw_figures", lambda *_: {})
    run, names = tmp_path / "run", tmp_path / "names.txt"
    names.write_text("3\n\n1\n")
    assert main(["train", recipe, "--out", str(run)]) == 0
    assert main(["eval", str(run), "--classes", str(names)]) == 0
    assert "test images of digits, 2 classes: top-1 " in (line := capsys.readouterr().out.splitlines()[-1])
    assert main(["eval", str(run), "--classes", "1", "3"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == line
    assert main(["eval", str(run), "--classes"]) == 0
    assert "360 test images of digits, 10 classes" in capsys.readouterr().out
    assert main(["analyze", str(run), "--classes", "1", "3", "--images", "5"]) == 0
    assert json.loads((run / "analysis" / "analysis.json").read_text())["data"]["classes"] == ["1", "3"]
    capsys.readouterr()
    assert main(["eval", str(run), "--classes", "zebra"]) == 1
    assert capsys.readouterr().err == "minivit: error: classes: 'zebra' is not a class of the model\n"
    assert main(["eval", str(run), "--classes", str(run / "model.safetensors")]) == 1
    assert re.fullmatch(r"minivit: error: .*model.safetensors cannot be read .*one class name per line\n",
                        capsys.readouterr().err)


def test_eval_on_other_images_than_the_runs(tmp_path, capsys):
    logits = sorted(f"c{k}" for k in range(12))  # c0, c1, c10, c11, c2, ...: those of the model
    for i in range(24):
        own = f"c{i % 12}"
        for folder, name in (("data/train", own), ("data/val", own), ("numbers", str(logits.index(own))),
                             ("few", f"c{i % 3}")):
            path = tmp_path / folder / name / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (20 * (i % 12), 90, 255 - 20 * (i % 12))).save(path)
    path = tmp_path / "recipe.py"
    path.write_text(RECIPE.replace('"digits"', '"imagefolder", dataset_options=dict(image_size=8)')
                    .replace("train_images=50", "batch_size=8").replace("in_channels=1", "in_channels=3"))
    run = str(tmp_path / "run")
    assert main(["train", str(path), "--data", str(tmp_path / "data"), "--out", run]) == 0
    capsys.readouterr()

    def line(*words):
        assert main(["eval", run, "--data", *map(str, words)]) == 0
        return capsys.readouterr().out.splitlines()[-1]
    whole = line(tmp_path / "data")
    assert whole.startswith("vit_nano_patch4_32 on 24 test images of imagefolder: ")
    assert line(tmp_path / "numbers") == whole
    assert "24 test images of imagefolder, 3 classes: " in (few := line(tmp_path / "few", "--subset"))
    assert line(tmp_path / "few", "--classes") == few
    occluded = line(tmp_path / "few", "--subset", "--conditions", "centre_occlusion", "--batch-size", "5")
    assert occluded.startswith("vit_nano_patch4_32 on 24 test images of imagefolder, 3 classes, centre_occlusion: ")
    assert line(tmp_path / "data", "--dataset-options", "crop_pct=0.5") == whole  # images of one colour
    for words, message in ((["--classes", "c1", "--subset"], "leave out one of the two"),
                           (["--dataset-options", "crop_pct=7"], "crop_pct=7"),
                           (["--dataset", "digits"], "images of digits have shape (1, 8, 8)"),
                           (["--labels", str(tmp_path / "real.json")], "real.json cannot be read")):
        assert main(["eval", run, "--data", str(tmp_path / "data"), *words]) == 1
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_console_without_greek_ends_nothing(recipe, tmp_path, monkeypatch, encoding):
    monkeypatch.setattr("minivit.report.folder.draw_figures", lambda *_: {})
    assert main(["train", recipe, "--out", str(tmp_path / "run")]) == 0
    console = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr("sys.stdout", console)
    assert main(["analyze", str(tmp_path / "run"), "--images", "5"]) == 0
    console.flush()
    assert b"noise, \\u03c3 = 5" in console.buffer.getvalue()


def test_every_value_of_a_configuration_has_an_option(recipe, tmp_path, configs):
    assert main(["train", recipe, "--out", str(tmp_path), "--epochs", "7", "--clip-norm", "null", "--flip", "false",
                 "--betas", "0.8", "0.95", "--learning-rate", "1e-4", "--precision", "bfloat16",
                 "--model-options", "context_layers=[0,1]"]) == 0
    config = configs[0]
    assert isinstance(config, Config)
    assert (config.epochs, config.clip_norm, config.flip, config.betas, config.learning_rate, config.precision) == (
        7, None, False, (0.8, 0.95), 1e-4, "bfloat16")
    assert config.model_options["context_layers"] == [0, 1] and config.model_options["dim"] == 12


def test_every_field_is_reached_by_key_and_value(recipe, configs, config):
    config = config.override(task="segmentation", dataset="shapes", dataset_options={"train_images": 7}, seed=3,
                             held_out_images=5, betas=(0.8, 0.95), patch_dropout=(0.5, 0.0), save_every="90s")
    words = str(config).splitlines()
    without_groups = [word.partition(".")[2] for word in words]
    for these in (words, without_groups):
        assert main(["train", recipe, *these[:7], "--out", "out", *these[7:]]) == 0
    options = {"model_options": load_config(recipe).model_options | config.model_options}
    assert configs == [config.override(**options)] * 2


@pytest.mark.parametrize("words", [
    ["optimizer.learning_rate=7e-3", "model.model_options.context=cb", "--epochs", "2", "--out", "out"],
    ["--out", "out", "--epochs", "2", "learning_rate=7e-3", "--model-options", "context=cb"],
    ["--out", "out", "--model-options", "context=cb", "optimizer.learning_rate=7e-3", "run.epochs=2"],
    ["model_options={'context': 'cb'}", "--learning-rate", "7e-3", "--out", "out", "epochs=2"],
])
def test_key_and_value_may_stand_anywhere_behind_the_recipe(recipe, configs, words):
    assert main(["train", recipe, *words, "--model-options", "mixer_options.window=3", "depth=3"]) == 0
    config, = configs
    assert (config.learning_rate, config.epochs) == (7e-3, 2)
    assert config.model_options == load_config(recipe).model_options | {"context": "cb", "depth": 3,
                                                                        "mixer_options": {"window": 3}}


def test_words_that_set_nothing_are_told(recipe, capsys):
    for arguments in (["train", recipe, "--out", "out", "context"], ["eval", "run", "--classes", "3", "--x=1"],
                      ["data", "digits", "run.epochs=2"], ["train", recipe, "--out", "out", "--learning-rte=1"]):
        with pytest.raises(SystemExit) as exit_:
            main(arguments)
        assert exit_.value.code == 2 and f"unrecognized arguments: {arguments[-1]}" in capsys.readouterr().err


def test_help_has_every_field(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "1000")  # no word is divided
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert all(describe_setting(name) in text for name in FIELDS)


@pytest.mark.parametrize("text, value", [
    ("null", None), ("None", None), ("true", True), ("True", True), ("0.5", 0.5), ("[0,1]", [0, 1]), ("(0,1)", (0, 1)),
    ("0,1", (0, 1)), ("cb_s", "cb_s"), ("'cb'", "cb"), ("1 +", "1 +"), ("", ""),
])
def test_values_are_read_as_json_or_python_and_else_as_words(text, value):
    assert read_value("name", text) == value and type(read_value("name", text)) is type(value)


@pytest.mark.parametrize("arguments, message", [
    (["train", "RECIPE", "--epochs", "many"], "epochs='many'"),
    (["train", "RECIPE", "--model", "vit_nano"], "did you mean 'vit_nano_patch4_32'"),
    (["train", "RECIPE", "--model-options", "context"], "'context' must be KEY=VALUE, such as model_options.con"),
    (["train", "RECIPE", "--model-options", "context=cbs"], "none, cb, cb_s"),
    (["train", "RECIPE", "model_options.context=cbs"], "none, cb, cb_s"),
    (["train", "RECIPE", "context"], "'context' must be KEY=VALUE"),
    (["train", "RECIPE", "optimizer.learning_rte=1"], "did you mean 'learning_rate'"),
    (["train", "RECIPE", "run.epochs=0"], "epochs=0 must be at least 1"),
    (["train", "RECIPE", "--save-every", "0"], "save_every=0 must be a number of epochs, at least 1, or seconds"),
    (["train", "RECIPE", "flip=maybe"], "flip='maybe' has the wrong type"),
    (["train", "RECIPE", "flip=true", "flip=false"], "flip is given twice"),
    (["train", "RECIPE", "run.epochs=2", "--epochs", "2"], "epochs=2 is given twice"),
    (["train", "RECIPE", "epochs=2", "--epochs", "2"], "epochs is given twice"),
    (["train", "RECIPE", "--model-options", "dim=12", "dim=24"], "model_options.dim is given twice"),
    (["train", "RECIPE", "--dataset", "cifar100", "--data", "nowhere"], "python -m minivit data cifar100"),
    (["train", "RECIPE", "--device", "abacus"], "device='abacus'"),
    (["train", "nothing.py"], "recipe nothing.py does not exist"),
    (["train", "."], "recipe . is a folder; name a recipe, or the run.json of"),
    (["train", "~nobody of this name/recipe.py"], "path='~nobody of this name/recipe.py' is not allowed"),
    (["eval", "~nobody of this name/run"], "path='~nobody of this name/run' is not allowed"),
    (["eval", "nothing", "--classes", "~nobody of this name/x"], "nothing does not exist"),
    (["sweep", "RECIPE", "--out", "~nobody of this name/x"], "out='~nobody of this name/x' is not allowed"),
    (["train", "RECIPE", "model_options={[1]: 2}"], "model_options='{[1]: 2}' has the wrong type"),
    (["eval", "nothing"], "nothing does not exist"),
    (["eval", 300 * "a"], "File name too long"),
    (["train", "exit.py"], "recipe exit.py: SystemExit: 3"),
    (["train", "list.json"], "recipe list.json: it has no config, as the run.json of a run has"),
    (["eval", "RECIPE"], "recipe.py"),
    (["analyze", "nothing"], "nothing does not exist"),
    (["data", "cifar"], "did you mean 'cifar100'"),
    (["data", "imagefolder", "--data", "nowhere", "--check"], "nowhere does not exist"),
    (["data", "digits", "--copy"], "--copy does nothing without --labels"),
    (["data", "shards", "--size-mb", "7"], "--size-mb does nothing without shards --from"),
    (["data", "imagefolder", "--from", "x", "--to", "y", "--labels", "z", "--seed", "3"], "--seed does nothing"),
    (["data", "shards", "--data", "nowhere", "--check"], "nowhere cannot be read: No such file"),
])
def test_a_mistake_is_one_line_and_a_status(arguments, message, recipe, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exit.py").write_text("import sys; sys.exit(3)")
    (tmp_path / "list.json").write_text("[]")
    arguments = [recipe if word == "RECIPE" else word for word in arguments]
    assert main(arguments + (["--out", str(tmp_path / "out")] if arguments[0] == "train" else [])) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("minivit: error: ") and captured.err.count("\n") == 1
    assert message in captured.err
    assert not (tmp_path / "out").exists()


def test_a_pickle_with_code_is_one_line(tmp_path, capsys):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(pickle.dumps(torch.device("cpu")))
    assert main(["eval", str(path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_signal_gives_its_status_and_says_how_to_go_on(recipe, tmp_path, capsys, monkeypatch):
    def stop(*_, **__):
        raise Stopped(15)

    monkeypatch.setattr(minivit.__main__, "train", stop)
    assert main(["train", recipe, "--out", str(tmp_path)]) == 143
    assert "stopped by SIGTERM and saved; go on with the same command and --resume" in capsys.readouterr().err


def test_a_missing_option_is_argparses_to_tell(recipe):
    with pytest.raises(SystemExit) as exit_:
        main(["train", recipe])
    assert exit_.value.code == 2


def test_what_the_package_logs_is_told_once_and_in_the_manner_of_the_command_line(monkeypatch, capsys):
    log = logging.getLogger("minivit.somewhere")
    monkeypatch.setattr("minivit.__main__.fetch", lambda *_: log.info("5 files passed over") or log.debug("unasked"))
    for _ in range(2):
        assert main(["data", "imagefolder", "--data", "nowhere"]) == 0
        assert capsys.readouterr().err == "minivit: 5 files passed over\n"


def test_shards_are_written_and_said_to_be_there(tmp_path, capsys):
    for split in ("train", "val"):
        for name in ("ant", "bee"):
            (tmp_path / "images" / split / name).mkdir(parents=True)
            Image.new("L", (17, 11)).save(tmp_path / "images" / split / name / "0.jpg")
    where = ["--from", str(tmp_path / "images"), "--to", str(tmp_path / "shards")]
    assert main(["data", "shards", *where, "--size-mb", "1"]) == 0
    assert "shards: 2 training and 2 test images of shape (3, 224, 224), 2 classes" in capsys.readouterr().out
    assert main(["data", "shards", "--data", str(tmp_path / "shards")]) == 0
    for bad in (["shards", *where[:2]], ["shards", *where, "--data", "x"], ["imagefolder", *where],
                ["shards", *where]):
        capsys.readouterr()
        assert main(["data", *bad]) == 1
        assert re.search(r"error: (--from DIR and --to DIR go together|.*already has shards)", capsys.readouterr().err)


def test_a_reader_who_left_is_no_error(monkeypatch, capsys):
    reads, writes = os.pipe()
    os.close(reads)
    monkeypatch.setattr("sys.stdout", open(writes, "w", encoding="utf-8"))
    assert main(["data", "digits"]) == 141  # what a shell calls a program that SIGPIPE ended
    sys.stdout.close()  # what Python does at the end
    assert not capsys.readouterr().err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
def test_an_output_that_takes_nothing_is_one_line(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout", open("/dev/full", "w", encoding="utf-8"))
    assert main(["data", "digits"]) == 1
    sys.stdout.close()
    assert re.fullmatch("minivit: error: .*No space left on device\n", capsys.readouterr().err)


def test_photographs_with_damaged_notes_are_read_in_silence(tmp_path, capfd, monkeypatch):
    notes = b"Exif\0\0II*\0" + struct.pack("<IHHHIII", 8, 1, 0x010E, 2, 999, 1000, 0)  # they end beyond the file
    for i in range(12):
        path = tmp_path / ("train", "test")[i % 2] / "ab"[i // 6] / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(path, exif=notes)
    with pytest.warns(UserWarning, match="larger than file"), Image.open(path) as image:
        image.getexif()
    for readers in ("", "1"):
        monkeypatch.setenv("MINIVIT_READERS", readers)
        assert main(["data", "imagefolder", "--data", str(tmp_path), "--check"]) == 0
        assert "Warning" not in capfd.readouterr().err
