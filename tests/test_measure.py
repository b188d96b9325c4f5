"""The command `measure`: features on disk, a trained run on its own data and on others, and what it refuses."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from small_runs import NETWORK, settings

from nc_bench import Run, collapse_metrics, load_run, run_training
from nc_bench.config import Config, dump_config
from nc_bench.measure import main, parser
from nc_bench.metrics import null_baseline


@pytest.fixture
def arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Features of three classes around Gaussian means, the means as the head; each in a file of its own."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    labels, means = np.arange(60) % 3, random.normal(size=(3, 8))
    features = (means[labels] + 0.1 * random.normal(size=(60, 8))).astype(np.float32)
    found = {"features": features, "labels": labels, "weight": means, "bias": np.zeros(3)}
    for name, array in found.items():
        np.save(f"{name}.npy", array)
    np.savez("all.npz", **found)
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_training(NETWORK, tmp_path_factory.mktemp("run") / "run", **{"training.epochs": 1})


def numbers(capsys: pytest.CaptureFixture[str], split: str = "train") -> dict[str, float]:
    """What --json printed, of one split."""
    rows = json.loads(capsys.readouterr().out)
    return {row["name"]: math.nan if row["value"] is None else row["value"] for row in rows if row["split"] == split}


def test_arrays_are_measured_as_the_function_measures_them(
    arrays: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("features", "labels", "weight", "bias")
    for files in ({name: f"{name}.npy" for name in names}, dict.fromkeys(names, "all.npz")):
        line = [word for name, file in files.items() for word in (f"--{name}", file)]
        assert main([*line, "--json", "-"]) == 0
        assert numbers(capsys) == collapse_metrics(**arrays)
        assert main([*line, "--csv", "numbers.csv"]) == 0
        assert "of the norm budget" in capsys.readouterr().out
    written = csv.DictReader(Path("numbers.csv").read_text().splitlines())
    rows = {row["name"]: row for row in written}
    assert list(rows) == list(collapse_metrics(**arrays))
    null = null_baseline(3, 8)["nc2_equiangular_w"]
    assert float(rows["nc2_equiangular_w"]["null"]) == null and rows["risk"]["null"] == ""


def test_features_with_a_last_layer_become_a_run(arrays: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    line = ["--features", "features.npy", "--labels", "labels.npy"]
    assert main([*line, "--weight", "weight.npy", "--bias", "bias.npy", "--out", "run"]) == 0
    assert "the class means" in capsys.readouterr().out and Path("run/report.html").exists()
    run, expected = load_run("run"), collapse_metrics(**arrays)
    assert run.manifest["status"] == "complete" and list(run.rows["epoch"]) == [0]
    for name in ("nc1_quotient", "nc2_equiangular", "risk", "simplex_efficiency"):
        assert run.rows[name][0] == pytest.approx(expected[name], rel=1e-5), name


def test_features_alone_become_a_run_of_what_can_be_said(
    arrays: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--features", "features.npy", "--labels", "labels.npy", "--json", "numbers.json"]) == 0
    printed, (folder,) = capsys.readouterr().out, Path("results/runs/measured").iterdir()
    run, expected = load_run(folder), collapse_metrics(arrays["features"], arrays["labels"])
    assert "As it was given, the class means miss the angles" in printed.replace("\n", " ") and "nan" not in printed
    verdicts = run.predictions.set_index("name")
    assert verdicts.loc["nc1_quotient", "verdict"] in ("holds", "fails")
    left_out = verdicts[verdicts["verdict"] == "not applicable"]
    assert left_out.loc["risk", "assumption"] == "features are measured alone, without a last layer"
    assert left_out.loc["nc3_duality_centred", "assumption"] == "it was not measured"
    assert "risk" not in run.rows and run.rows["nc1_pinv"][0] == pytest.approx(expected["nc1_pinv"], rel=1e-5)
    rows = {row["name"]: row for row in json.loads(Path("numbers.json").read_text())}
    assert list(rows) == list(expected) and rows["nc1_pinv"]["null"] is None
    assert rows["nc2_equiangular"]["null"] == run.manifest["null"]["nc2_equiangular"]
    page = (folder / "report.html").read_text()
    assert "length of the row of W" not in page and "Cosines of the rows of W<" not in page
    assert "Cosines of the class means<" in page and "measured as it was given" in page


def test_what_is_not_finite_has_no_run(arrays: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    features = arrays["features"].copy()
    features[7, 3] = np.nan
    np.save("features.npy", features)
    for more in ([], ["--weight", "weight.npy"]):
        assert main(["--features", "features.npy", "--labels", "labels.npy", *more, "--out", "run"]) == 3
        said = capsys.readouterr()
        assert said.err.startswith("no run directory is made: the features hold NaN or infinity")
        assert said.err.count("\n") == 1 and "60 samples of 3 classes" in said.out
    assert not Path("run").exists()


def test_an_undefined_value_has_its_reason(arrays: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--features", "features.npy", "--labels", "labels.npy", "--classes", "5", "--csv", "-"]) == 0
    row = next(row for row in csv.DictReader(capsys.readouterr().out.splitlines()) if row["name"] == "nc1_pinv")
    assert (row["value"], row["reason"]) == ("", "classes 3 and 4 without samples")


def test_the_page_on_measuring_names_every_option() -> None:
    page = (Path(__file__).parents[1] / "docs/measure.md").read_text()
    options = {word for action in parser()._actions for word in action.option_strings if word.startswith("--")}
    assert len(options) > 9 and {option for option in options if f"| `{option}" not in page} == set()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--features no.npy --labels labels.npy", "--features: no.npy: there is no such file"),
        ("--features cut.npy --labels labels.npy", "--features: cut.npy: is cut off: shorter than its header says"),
        (
            "--features labels.npy --labels labels.npy",
            "features must be a floating (N, d) array, got (60,) torch.int64",
        ),
        ("--features features.npy --labels few.npy", "features.npy, few.npy: 60 features but 10 labels"),
        ("--features features.npy --labels far.npy --weight weight.npy", "labels must lie in 0..2, got values from 7"),
        ("--features features.npy --labels far.npy --classes 3", "labels must lie in 0..2, got values from 7"),
        ("--features features.npy --labels below.npy", "labels must lie in 0..1, got values from -1 to 1"),
        ("--features features.npy --labels float.npy", "labels must be an integer (N,) array"),
        ("--features features.npy --labels hot.npy", "of one-hot labels give their argmax"),
        ("--features features.npy --labels labels.npy --weight turned.npy", "weight must be (K, 8), got (8, 3)"),
        ("--features features.npy --labels labels.npy --bias bias.npy", "bias was given without weight"),
        ("--features features.npy --labels labels.npy --classes 0", "classes must be positive, got 0"),
        ("--features frame.pkl --labels labels.npy", "--features: frame.pkl: a pickle can run code when it is loaded"),
        ("--features objects.npy --labels labels.npy", "--features: objects.npy: holds Python objects, which can run"),
        ("--features words.npy --labels labels.npy", "features must be an array of numbers, got <U1"),
        ("--features module.pt --labels labels.npy", "holds Python objects besides tensors, which can run code"),
        ("--features all.npz:feature --labels labels.npy", "holds no array 'feature'; did you mean 'features'?"),
        ("--features features.npy", "--labels: is missing"),
        ("--labels labels.npy", "--features: is missing"),
        ("", "give --features and --labels, or --config or --run"),
        ("--features features.npy --labels labels.npy --run here", "give --features and --labels, or --config or"),
        ("--config digits_ball", "an untrained model says nothing; say --run DIR, or model.weights=FILE"),
        ("digits_bal", "digits_bal: neither a file nor a shipped configuration; did you mean 'digits_ball'?"),
        ("--run here", "here: holds no run"),
    ],
)
def test_what_cannot_be_measured_is_said_in_one_line(
    line: str, said: str, arrays: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    labels = arrays["labels"]
    made = {"few": labels[:10], "far": labels + 7, "below": labels - 1, "float": labels * 1.0, "hot": np.eye(3)[labels]}
    made |= {"turned": arrays["weight"].T, "objects": np.array([None, {}]), "words": np.array(["a"])}
    for name, array in made.items():
        np.save(f"{name}.npy", array, allow_pickle=True)
    Path("cut.npy").write_bytes(Path("features.npy").read_bytes()[:-100])
    pd.DataFrame(arrays["features"]).to_pickle("frame.pkl")
    torch.save(torch.nn.Linear(2, 2), "module.pt")
    assert main(line.split()) == 2
    found = capsys.readouterr()
    assert said in found.err and found.err.count("\n") == 1 and found.out == ""
    assert not Path("results").exists()


def test_a_run_is_measured_again(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "it's"
    assert main(["--run", str(run.path), "--out", str(out)]) == 0
    assert "Without training" in capsys.readouterr().out and (out / "report.html").exists()
    measured = load_run(out)
    for split in ("train", "test"):
        last, found = (r.rows[r.rows["split"] == split].iloc[-1] for r in (run, measured))
        assert found["epoch"] == 0 and found["nc1_quotient"] == pytest.approx(last["nc1_quotient"], rel=1e-6)
    assert main(["--run", str(out), "--out", str(tmp_path / "again"), "--json", "-"]) == 0
    own = run.rows[run.rows["split"] == "train"].iloc[-1]
    assert numbers(capsys)["risk"] == pytest.approx(own["risk"], rel=1e-6)


def test_its_weights_are_measured_on_other_data(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "other.yaml"
    config.write_text(dump_config(Config.model_validate(settings(NETWORK))))
    line = [str(config), "--run", str(run.path), "--out", str(tmp_path / "out"), "data.labels=random"]
    assert main([*line, "--json", "-"]) == 0
    found = numbers(capsys, "test")
    own = run.rows[run.rows["split"] == "test"].iloc[-1]
    assert found["accuracy"] == own["accuracy"]
    assert load_run(tmp_path / "out").rows["accuracy"].iloc[0] < 0.2


def test_weights_of_a_file_count_as_a_trained_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "weights.yaml"
    config.write_text(dump_config(Config.model_validate(settings(NETWORK))))
    model = "{name: 'import:torch.nn:LazyLinear', weights: " + str(tmp_path / "no.pt") + "}"
    assert main([str(config), f"model={model}", "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "an untrained model" not in said and "no.pt" in said and said.count("\n") == 1
