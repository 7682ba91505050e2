import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from minivit.data import load
from minivit.models import create_model, list_pretrained, pretrained
from minivit.training import RESULTS, Config, evaluate, load_model, load_trained, read_record, train
from tools import pretrained as tool

NAME = "vit_nano_patch4_32"
SIZE = dict(image_size=8, in_channels=1, dim=33, depth=2, num_heads=3, num_classes=10)
ALL = list_pretrained()
SHIPPED, PUBLISHED = [it for it in ALL if not it.asset], [it for it in ALL if it.asset]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folders of two small runs that differ in context, under ``plain/seed3`` and ``cb/seed3``."""
    root = tmp_path_factory.mktemp("runs")
    for folder, context in (("plain", {}), ("cb", {"context": "cb"})):
        config = Config(dataset="digits", model=NAME, train_images=103, epochs=2, batch_size=41, seed=3, crop_padding=1,
                        warmup_epochs=0.5, model_options=SIZE | context | {"dropout": 0.1, "drop_path": 0.1})
        train(config, root / folder / "seed3", device="cpu", progress=False)
    return [root / "plain/seed3", root / "cb/seed3"]


@pytest.fixture
def places(runs, tmp_path, monkeypatch):
    """Empty weights, and results with the records of the runs."""
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path / "weights")
    monkeypatch.setattr(tool, "RESULTS", tmp_path / "results")
    for run in runs:
        kept = tmp_path / "results" / run.relative_to(run.parents[1])
        shutil.copytree(run, kept, ignore=shutil.ignore_patterns("*.pt", "*.safetensors"))
    return tmp_path


@pytest.fixture
def packed(places, runs):
    tool.main([str(run) for run in runs])
    return places / "weights"


@pytest.fixture
def images():
    torch.manual_seed(1)
    return torch.randn(7, 1, 8, 8)


def test_the_header_says_all(packed, runs):
    plain, cb = list_pretrained()
    assert [it.path for it in (plain, cb)] == [packed / f"{NAME}.safetensors", packed / f"{NAME}_cb.safetensors"]
    assert (plain.name, plain.options, plain.seed, plain.record) == (NAME, SIZE, 3, "plain/seed3")
    assert (cb.name, cb.options, cb.seed, cb.record) == (NAME, SIZE | {"context": "cb"}, 3, "cb/seed3")
    for it, run in zip((plain, cb), runs, strict=True):
        assert it.test_top1 == read_record(run)[1][-1]["test_top1"]


def test_a_packed_file_knows_its_classes(packed):
    assert load_trained(packed / f"{NAME}.safetensors").data == load("digits").info


def test_what_is_listed_is_the_call_that_gives_it_back(packed, runs, images):
    for it, run in zip(list_pretrained(), runs, strict=True):
        trained, model = load_model(run)[0], eval(str(it), {"create_model": create_model})
        assert not model.training
        for name, weight in trained.state_dict().items():
            again = model.state_dict()[name]
            assert again.dtype == torch.float32 and torch.equal(again, weight.half().float())
        # Rounding to float16 moves a weight by at most 2**-11 of itself, and independently of the others. So a linear
        # map's output moves by less than this, and the ten maps on the way to the logits add in squares: 0.4 * 2**-11
        # here, and 0.7 * 2**-11 with six blocks. With bfloat16 it would be eight times as much.
        want, got = trained(images), model(images)
        assert 0 < (got - want).norm() < 2**-10 * want.norm()


def test_only_what_changes_the_trained_function_must_be_as_in_training(packed, images):
    plain = create_model(NAME, pretrained=True, **SIZE)
    for free in ({"context": "none"}, {"global_pool": "token"}, {"drop_path": 0.2}, {"dropout": 0.3}):
        assert torch.equal(create_model(NAME, pretrained=True, **SIZE | free)(images), plain(images))
    assert create_model(NAME, pretrained=True, **SIZE | {"dropout": 0.3}).dropout.p == 0.3


@pytest.mark.parametrize("image_size", [(32, 32), [32, 32]])
def test_a_pair_of_equal_sides_is_the_square_that_was_trained(image_size):
    options = dict(context="cb", pretrained=True)
    want = create_model("vit_nano_patch4_32", **options).state_dict()
    got = create_model("vit_nano_patch4_32", image_size=image_size, **options).state_dict()
    assert all(torch.equal(weight, want[name]) for name, weight in got.items())
    with pytest.raises(ValueError, match=r"image_size=\(32, 64\), .*: no such model was trained"):
        create_model("vit_nano_patch4_32", image_size=(32, 64), **options)


@pytest.mark.parametrize("options, message", [
    ({"context": "cb_s"}, "context='cb_s'"),
    ({"context": "cb", "context_layers": "all"}, "context_layers='all'"),
    ({"num_heads": 1}, "num_heads=1"),  # the same shapes, another function
    ({"global_pool": "avg"}, "global_pool='avg'"),
    ({"name": "vit_tiny_patch4_32"}, "'vit_tiny_patch4_32'"),
])
def test_what_was_not_trained_is_told_what_was(packed, options, message):
    plain, cb = list_pretrained()
    with pytest.raises(ValueError, match=rf"{message}.*pretrained=True\): no such model was trained") as error:
        create_model(**{"name": NAME} | SIZE | options, pretrained=True)
    assert str(plain) in str(error.value) and str(cb) in str(error.value)


def test_another_number_of_classes_has_a_head_of_its_own(packed, images):
    plain, seven, none = (create_model(NAME, pretrained=True, **SIZE | {"num_classes": n}) for n in (10, 7, 0))
    features = none(images)
    assert features.shape == (7, 33) and seven(images).shape == (7, 7)
    torch.testing.assert_close(plain.head(features), plain(images))
    torch.testing.assert_close(seven.head(features), seven(images))
    assert seven.head.weight.std() > 0


def test_without_files(places):
    assert list_pretrained() == []
    with pytest.raises(ValueError, match=f"no such model was trained; there are none in {places / 'weights'}"):
        create_model(NAME, pretrained=True)


def test_pretrained_is_yes_or_no():
    with pytest.raises(ValueError, match="pretrained='no'.*boolean"):
        create_model(NAME, pretrained="no")


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_a_truncated_file_is_named(packed, keep):
    path = packed / f"{NAME}.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=f"{path} is damaged"):
        create_model(NAME, pretrained=True, **SIZE)


@pytest.mark.parametrize("header", [None, {"config": "{}"}, {"config": "{", "record": "a", "test_top1": "1"}])
def test_a_file_without_its_header_is_named(packed, header):
    path = packed / f"{NAME}.safetensors"
    save_file({"cls_token": torch.zeros(1)}, path, metadata=header)
    with pytest.raises(ValueError, match=f"{path} is damaged or not a file of trained weights"):
        list_pretrained()


def test_weights_of_another_version_are_named(packed, runs, monkeypatch):
    monkeypatch.setattr(tool, "load_trained", lambda path: load_trained(path)._replace(model=torch.nn.Linear(2, 3)))
    path = tool.pack(runs[0])
    with pytest.raises(ValueError, match=f"{path} does not fit this version of minivit"):
        create_model(NAME, pretrained=True, **SIZE)


def cut_metrics(run, monkeypatch):
    metrics = run / "metrics.jsonl"
    metrics.write_text(metrics.read_text().splitlines(keepends=True)[0])


@pytest.mark.parametrize("spoil, message", [
    (cut_metrics, "has 1 of its 2 epochs"),
    (lambda run, patch: patch.setattr(tool, "RESULTS", run / "none"), "has no copy of its record in"),
    (lambda run, patch: patch.setattr(tool, "LIMIT_MB", 0.05), "would take 0.1 MB, more than 0.05 MB"),
    (lambda run, patch: (run / "run.json").unlink(), "holds no record of a run"),
    (lambda run, patch: (run / "model.safetensors").unlink(), "model.safetensors does not exist"),
])
def test_a_run_that_cannot_travel_leaves_nothing(places, runs, monkeypatch, spoil, message):
    run = places / "run"
    shutil.copytree(runs[0], run)
    spoil(run, monkeypatch)
    with pytest.raises(SystemExit, match=f"{run}.*{message}"):
        tool.main([str(run)])
    assert not list(places.rglob("weights/*"))


def has_its_record(it):
    run, history = read_record(RESULTS / it.record)
    assert history[-1]["test_top1"] == it.test_top1
    assert it.seed == run["seed"] and len(history) == run["config"]["epochs"]
    assert not run["config"].get("held_out_images")  # or its accuracy would be that on other images
    assert it.options.items() <= run["config"]["model_options"].items()


@pytest.mark.parametrize("it", SHIPPED, ids=str)
def test_a_shipped_model_is_small_and_has_its_record(it):
    has_its_record(it)
    assert it.path.stat().st_size <= 3e6
    assert it.path == pretrained.weights_path(it.name, it.options.get("context", "none"))
    assert not eval(str(it), {"create_model": create_model}).training


def test_a_published_model_is_not_large_and_has_its_record():
    for it in PUBLISHED:
        has_its_record(it)
        stem = pretrained.weights_path(it.name, it.options.get("context", "none")).stem
        assert it.file == f"{stem}-{it.asset.sha256[:8]}.safetensors"
        assert len(bytes.fromhex(it.asset.sha256)) == 32 and it.asset.num_bytes <= 12e6
        assert it.asset.url is None or it.asset.url.startswith("https://") and it.asset.url.endswith(f"/{it.file}")


def test_trained_models_of_one_name_differ_in_context_alone():
    seen = {}
    for it in ALL:
        config = read_record(RESULTS / it.record)[0]["config"]
        config["model_options"].pop("context", None)
        assert seen.setdefault(it.name, config) == config  # the seed included


@pytest.mark.cifar
@pytest.mark.parametrize("it", SHIPPED, ids=str)
def test_a_shipped_model_is_as_good_as_its_record(it):
    model = eval(str(it), {"create_model": create_model})
    data = load("cifar100")
    some = replace(data, test=data.test.subset(range(1000)))
    # A thousand of the ten thousand images: the standard error is 1.6 points, and three of them are allowed.
    assert evaluate(model, some)["test_top1"] == pytest.approx(it.test_top1, abs=5)
