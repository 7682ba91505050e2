import json
import logging
import unicodedata
from dataclasses import asdict, replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from minivit.data import DataError, DataInfo, Dataset, Split, load
from minivit.data.dataset import read_class_names
from minivit.models import create_model
from minivit.training import (
    CheckpointError,
    evaluate,
    load_data,
    load_model,
    load_trained,
    read_weights,
    train,
    trained,
)
from minivit.training.checkpoint import load_checkpoint

CLASSES = ("ant", "bee", "cat", "dog")
INFO = DataInfo(CLASSES, (3, 8, 8), (0.5, 0.4, 0.3), (0.2, 0.2, 0.3))


def dataset(classes=CLASSES, size=8, mean=INFO.mean):
    """Return images of one value for each name, whatever its label."""
    def split(n):
        labels = torch.arange(n * len(classes)) % len(classes)
        value = torch.tensor([20 * (1 + sum(map(ord, name)) % 11) for name in classes], dtype=torch.uint8)[labels]
        return Split(value[:, None, None, None].expand(-1, 3, size, size).contiguous(), labels)
    return Dataset("animals", split(3), split(5), tuple(classes), mean, INFO.std)


@pytest.fixture
def meet(config, monkeypatch):
    """Bring a model that knows four animals, as far as an untrained one does, together with data."""
    config = config.override(model_options={"num_classes": 4, "in_channels": 3})
    torch.manual_seed(0)
    model = create_model(config.model, **config.model_options).eval()
    torch.nn.init.normal_(model.head.weight)

    def meet(data, known=INFO, classes=None):
        monkeypatch.setattr(trained, "load", lambda *_, **__: data)
        return load_data(trained.Trained(model, config, known), classes=classes)
    return meet


def test_the_same_classes_go_through(meet):
    data = dataset()
    model, met = meet(data)
    assert met is data and model.head.out_features == 4


def test_classes_in_another_order_are_brought_into_the_models(meet):
    before = evaluate(*meet(dataset()))
    model, met = meet(dataset(CLASSES[::-1]))
    assert met.classes == CLASSES
    assert evaluate(model, met) == pytest.approx(before)


@pytest.mark.parametrize("classes, message", [
    (("bee", "cat", "dog"), "missing: 'ant'"),
    (("bee", "cat", "dog", "zebra"), "missing: 'ant'; new: 'zebra'"),
    (("aard", *CLASSES), "new: 'aard'"),
    (tuple("ABCDEF"), "missing: 'ant', 'bee', 'cat' and 1 more; new: 'A', 'B', 'C' and 3 more"),
])
def test_other_classes_are_named(meet, classes, message):
    with pytest.raises(ValueError, match=f"the classes of animals are not the model's: {message}.*--classes"):
        meet(dataset(classes))


def test_other_images_are_told(meet):
    with pytest.raises(ValueError, match=r"\(3, 16, 16\).*the model was trained on \(3, 8, 8\)"):
        meet(dataset(size=16))


def test_images_are_normalised_as_in_training(meet, caplog):
    _, met = meet(dataset(mean=(0.1, 0.1, 0.1)))
    assert met.mean == INFO.mean and "(0.1, 0.1, 0.1)" in caplog.text


@pytest.mark.parametrize("data, classes", [
    (("bee", "dog"), ()), (CLASSES, ("dog", "bee")), (("aard", "dog", "ant", "bee"), ("bee", "dog"))])
def test_some_classes_alone(meet, data, classes):
    whole = meet(dataset())[0]
    bee_and_dog = dataset(("bee", "dog")).test.images[:2]
    logits = whole(bee_and_dog / 255)[:, [1, 3]]
    model, met = meet(dataset(data), classes=classes)
    assert met.classes == ("bee", "dog") and len(met.test) == 10
    assert torch.equal(met.test.images, bee_and_dog[met.test.labels])
    torch.testing.assert_close(model(bee_and_dog / 255), logits)


@pytest.mark.parametrize("data, classes, message", [
    (CLASSES, ("be",), r"'be' is not a class of the model \(did you mean 'bee'\?\)"),
    (("bee", "dog"), ("bee", "ant"), "animals has no images of 'ant'"),
    (("bee", "zebra"), (), "not all classes of the model: 'zebra'"),
    (CLASSES, ("bee",), "'bee' is the only one, and every answer would be right"),
    (("dog",), (), "'dog' is the only one, and every answer would be right"),
])
def test_classes_that_cannot_be_chosen(meet, data, classes, message):
    with pytest.raises(ValueError, match=message):
        meet(dataset(data), classes=classes)


def test_a_name_typed_on_a_mac_is_the_same_class(meet, tmp_path):
    nfc, nfd = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))
    known = replace(INFO, classes=("ant", "bee", nfc, "dog"))
    (tmp_path / "names.txt").write_text(f"bee\n{nfd}\n", encoding="utf-8")
    for chosen in (["bee", nfd], read_class_names(tmp_path / "names.txt")):
        assert meet(dataset(known.classes), known, classes=chosen)[1].classes == ("bee", nfc)
    (tmp_path / "names.txt").write_text("\n")
    with pytest.raises(DataError, match="names.txt is empty: give a file with one class name per line"):
        read_class_names(tmp_path / "names.txt")


def test_a_model_may_be_asked_about_other_classes_again(meet):
    whole, images = meet(dataset())[0], dataset(("bee", "dog")).test.images[:2] / 255
    meet(dataset(), classes=("cat", "dog"))
    again, _ = meet(dataset(), classes=("ant", "bee"))
    torch.testing.assert_close(again(images), whole(images)[:, :2])


def test_a_run_that_knows_no_classes_is_told_once_and_goes_on(meet, caplog):
    data = dataset(("w", "x", "y", "z"))
    with caplog.at_level(logging.WARNING):
        assert meet(data, known=None)[1] is data
    assert [record.getMessage() for record in caplog.records] == [
        "the run doesn't say which classes it was trained on; assuming those of animals: 'w', 'x', "
        "'y' and 1 more"]
    with pytest.raises(ValueError, match=r"animals has 3 classes \('w', 'x', 'y'\), the model was trained on 4"):
        meet(dataset(("w", "x", "y")), known=None)
    with pytest.raises(ValueError, match="doesn't say which classes"):
        meet(data, known=None, classes=("w",))


def test_a_run_its_weights_and_its_record_know_their_data(config, tmp_path):
    train(config, tmp_path, progress=False)
    info = load("digits").info
    assert info.classes == tuple("0123456789") and info.image_shape == (1, 8, 8)
    assert json.loads((tmp_path / "run.json").read_text())["data"] == json.loads(json.dumps(asdict(info)))
    for name, key in (("model.safetensors", None), ("checkpoint.pt", "average")):
        assert load_trained(tmp_path / name).data == info
        read = read_weights(tmp_path / name, key)
        assert all(torch.equal(weight, read[name]) for name, weight in load_model(tmp_path)[0].state_dict().items())
    with pytest.raises(CheckpointError, match="checkpoint.pt: there are weights under 'model' and 'average'"):
        read_weights(tmp_path / "checkpoint.pt")
    with pytest.raises(CheckpointError, match="has no 'ema'; it has 'config', 'data'"):
        read_weights(tmp_path / "checkpoint.pt", "ema")


@pytest.fixture
def weights(config, tmp_path):
    config = config.override(model_options={"num_classes": 10})
    return config, create_model(config.model, **config.model_options).state_dict(), tmp_path


@pytest.mark.parametrize("header, message", [
    ({"config": "vit_tiny"}, "header is not what minivit writes"),
    ({"config": "5"}, "configuration must be a mapping.*not 5"),
    ({"config": "[1]"}, r"configuration must be a mapping.*not \[1\]"),
    ({"config": '{"model_options": {"num_classes": "ten"}}'}, "num_classes='ten'"),
    ({"config": '{"epochs": null}'}, "epochs=None"),
    ({}, "but not which model they are for.*read_weights"),
])
def test_a_wrong_header_is_one_line_that_names_the_file(weights, header, message):
    _, state, folder = weights
    path = folder / "x.safetensors"
    save_file(state, path, metadata=header)
    with pytest.raises(CheckpointError, match=message) as error:
        load_trained(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("spoil, message", [
    (lambda w: w.pop("head.bias"), "the model has 'head.bias'$"),
    (lambda w: w.update(extra=torch.ones(1), more=torch.ones(1), most=torch.ones(1)), "have 'extra', 'more' ...$"),
    (lambda w: w.update({"head.bias": torch.ones(7)}), r"head.bias has shape \(7,\), the model's has \(10,\)$"),
    (lambda w: w.update({"head.bias": torch.ones(10, dtype=torch.int8)}), "head.bias has dtype torch.int8.*quantised"),
    (lambda w: w.update(pos_embed=w["pos_embed"][:, 1:].clone()), "pos_embed has shape.*give image_size"),
])
def test_weights_that_do_not_fit_are_one_line(weights, spoil, message):
    config, state, folder = weights
    spoil(state)
    save_file(state, folder / "x.safetensors", metadata={"config": json.dumps(asdict(config))})
    with pytest.raises(CheckpointError, match=f"x.safetensors does not fit this version of minivit: .*{message}"):
        load_trained(folder / "x.safetensors")


@pytest.mark.parametrize("data, message", [
    ("{", "header is not what minivit writes"), ("[]", "data must be a mapping"), ('{"classes": ["a"]}', "missing"),
    ('{"classes": "ab", "image_shape": [1, 8, 8], "mean": [0.5], "std": [0.5]}', "classes='ab'")])
def test_wrong_data_in_a_header(weights, data, message):
    config, state, folder = weights
    save_file(state, folder / "x.safetensors", metadata={"config": json.dumps(asdict(config)), "data": data})
    with pytest.raises(CheckpointError, match=message):
        load_trained(folder / "x.safetensors")


def test_a_checkpoint_without_an_average_and_with_a_prefix_is_read(weights):
    config, state, folder = weights
    torch.save({"config": asdict(config), "step": 1, "optimizer": {},
                "model": {f"_orig_mod.{name}": weight for name, weight in state.items()}}, folder / "c.pt")
    model, again, data = load_trained(folder / "c.pt")
    assert again == config and data is None
    assert all(torch.equal(weight, state[name]) for name, weight in model.state_dict().items())


@pytest.mark.parametrize("wrap", [lambda w: w, lambda w: {"model": w}, lambda w: {"state_dict": w, "epoch": 1}])
def test_weights_of_others_are_read_and_a_model_is_not_guessed(weights, wrap):
    _, state, folder = weights
    torch.save(wrap(state), folder / "deit.pth")
    with pytest.raises(CheckpointError, match="holds weights.*not which model they are for.*read_weights"):
        load_checkpoint(folder / "deit.pth")
    assert read_weights(folder / "deit.pth").keys() == state.keys()
    save_file(state, folder / "timm.safetensors")
    assert read_weights(folder / "timm.safetensors").keys() == load_file(folder / "timm.safetensors").keys()


@pytest.mark.parametrize("name", ["nothing.pth", "nothing.safetensors"])
def test_missing_weights_are_named(tmp_path, name):
    with pytest.raises(CheckpointError, match=f"{name} does not exist"):
        read_weights(tmp_path / name)


def test_a_home_folder_may_be_a_tilde(config, tmp_path, monkeypatch):
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    train(config.override(epochs=1, warmup_epochs=0.0), "~/run", progress=False)
    assert load_model("~/run")[1].epochs == 1 and (tmp_path / "run" / "run.json").exists()


def test_a_model_with_fewer_logits_than_classes_is_told_and_one_with_more_is_not():
    options = dict(image_size=8, dim=12, depth=1, num_heads=3)
    with pytest.raises(ValueError, match="returns 3 logits.*animals has 4 classes.*num_classes=4"):
        evaluate(create_model("vit_nano_patch4_32", **options, num_classes=3), dataset())
    assert 0 <= evaluate(create_model("vit_nano_patch4_32", **options, num_classes=5), dataset())["test_top1"] <= 100
