"""Gives the package thousands of inputs that nobody would plan, and counts what it makes of them.

    python scripts/input_campaign.py [--cases N] [--seed S]

Hypothesis draws features, arguments of the public functions, configurations, sweep files and folders of images. Each
case has to end in one of three ways, within TIMEOUT seconds and without a warning: a right result (metrics agree with
plain NumPy in extended precision, images with the arrays they were written from), NaN with a reason, or one line for
every problem (a ValueError). Prints a table; exit status 1 if a case ended otherwise, with the smallest such case.
"""

from __future__ import annotations

import argparse
import inspect
import math
import os
import signal
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter
from types import FrameType
from typing import Any

import numpy as np
import torch
import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from nc_bench import ClassMoments, FeatureTap, collapse_metrics, load_config, load_run, predict
from nc_bench.config import FolderOfImages, config_hash, dump_config
from nc_bench.data import load_dataset
from nc_bench.sweeps.grid import load_grid
from nc_bench.theory.dispatch import SETTINGS

TIMEOUT = 60
"""Seconds; a case takes some milliseconds on a quiet machine."""

SHARES = {"features": 0.5, "arguments": 0.2, "configurations": 0.12, "sweep files": 0.08, "folders": 0.1}
CONFIGS = Path(__file__).parents[1] / "configs"

RELATIVE = 1e-9
"""What the metrics promise for float64 features, apart from what the features' own rounding does to them."""

RIGHT, UNDEFINED, REFUSED = "right", "NaN with a reason", "one line"


class Hang(BaseException):
    """A case that takes longer than TIMEOUT; no handler for errors catches it."""


@contextmanager
def within_time() -> Iterator[None]:
    def expired(number: int, frame: FrameType | None) -> None:
        raise Hang(f"longer than {TIMEOUT} s")

    before = signal.signal(signal.SIGALRM, expired)
    signal.alarm(TIMEOUT)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def outcome(work: Callable[[], str], *, lines: int = 1) -> str:
    """How a case ended. A ValueError has to have a message, of at most so many lines."""
    with within_time():
        try:
            return work()
        except ValueError as error:
            text = str(error)
            assert text.strip() and len(text.splitlines()) <= lines, f"not one line: {text!r}"
            last = traceback.extract_tb(error.__traceback__)[-1].filename
            assert "nc_bench" in last, f"raised by {last} and not by a check: {type(error).__name__}: {text}"
            return REFUSED


# Features


@st.composite
def problems(draw: st.DrawFn) -> tuple[NDArray[Any], ...]:
    """Features of a few classes at any scale, with offset, collapse, repetition and missing classes; a last layer."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    classes, width, samples = draw(st.integers(1, 6)), draw(st.integers(1, 6)), draw(st.integers(1, 20))
    labels = random.integers(0, classes, samples)
    if draw(st.integers(0, 5)) > 0:
        labels = np.concatenate([labels, np.arange(classes)])
    means = random.standard_normal((classes, width)) * draw(st.sampled_from([1.0, 1.0, 1.0, 0.0, 1e-8, 1e8]))
    noise = random.standard_normal((len(labels), width)) * draw(st.sampled_from([0.0, 1e-12, 1.0]))
    features = means[labels] + noise + draw(st.sampled_from([0.0, 1.0, 1e4]))
    features *= 10.0 ** draw(st.sampled_from([0, 0, 0, 0, 0, 0, -300, -160, -30, 30, 150, 290]))
    weight = random.standard_normal((classes, width)) * 10.0 ** draw(
        st.sampled_from([0, 0, 0, 0, 0, -200, -16, 16, 200])
    )
    bias = random.standard_normal(classes) * draw(st.sampled_from([0.0, 1.0, 1e10]))
    if draw(st.integers(0, 19)) == 0:
        features[random.integers(len(labels)), random.integers(width)] = draw(
            st.sampled_from([np.nan, np.inf, -np.inf])
        )
    return features, labels, weight, bias


def reference(
    features: NDArray[Any], labels: NDArray[Any], weight: NDArray[Any], bias: NDArray[Any]
) -> dict[str, float]:
    """Some of the metrics in plain NumPy, in 80 bits, whose range no scale here leaves; for classes that all occur."""
    h, w, b = (array.astype(np.longdouble) for array in (features, weight, bias))
    classes = len(w)
    members = [h[labels == label] for label in range(classes)]
    raw = np.array([part.mean(0) for part in members])
    rows = raw - raw.mean(0)
    within = h - raw[labels]
    norms = np.sqrt((rows**2).sum(1))
    variances = np.array([((part - part.mean(0)) ** 2).sum(1).mean() for part in members])
    pairs = [(c, e) for c in range(classes) for e in range(c + 1, classes)]
    gaps = np.array([np.sqrt(((raw[c] - raw[e]) ** 2).sum()) for c, e in pairs])
    cosines = [rows[c] @ rows[e] / (norms[c] * norms[e]) for c, e in pairs]
    logits = h @ w.T + b
    distances = ((h[:, None] - raw) ** 2).sum(2)
    radius = min(np.sqrt((h**2).sum(1).max()), np.sqrt(((h - raw.mean(0)) ** 2).sum(1).max()))
    values = {
        "nc1_quotient": (within**2).sum(1).mean() / (norms**2).mean(),
        "nc1_cdnv": np.mean(
            [(variances[c] + variances[e]) / (2 * gap**2) for (c, e), gap in zip(pairs, gaps, strict=True)]
        ),
        "nc1_radius": np.sqrt((within**2).sum(1).max()) / norms.mean(),
        "nc2_equinorm": norms.std(ddof=1) / norms.mean(),
        "nc2_equiangular": np.mean(np.abs(np.array(cosines) + np.longdouble(1) / (classes - 1))),
        "centre_offset": np.sqrt((raw.mean(0) ** 2).sum()) / np.sqrt((raw**2).sum(1)).mean(),
        "feature_radius": radius,
        "mean_length": norms.mean(),
        "accuracy": np.mean(logits.argmax(1) == labels),
        "ncc_accuracy": np.mean(distances.argmin(1) == labels),
    }
    return {name: float(value) for name, value in values.items()}


def check_features(problem: tuple[NDArray[Any], ...]) -> str:
    features, labels, weight, bias = problem
    found = collapse_metrics(features, labels, weight, bias)
    undefined = {name for name, value in found.items() if math.isnan(value)}
    assert undefined == set(found.reasons), f"NaN without a reason, or a reason without NaN: {undefined}"
    assert not any(math.isinf(value) for value in found.values()), "an infinite metric"
    for name in ("accuracy", "ncc_accuracy", "nc4_mismatch"):
        assert name in undefined or 0 <= found[name] <= 1, f"{name} is {found[name]}"
    efficiency = found.get("simplex_efficiency", 0.0)
    assert not efficiency > 1 + 1e-6, f"simplex_efficiency is {efficiency}"
    if len(weight) > 1 and set(labels) == set(range(len(weight))) and np.isfinite(features).all():
        compare(found, problem)
    return UNDEFINED if undefined else RIGHT


def compare(found: dict[str, float], problem: tuple[NDArray[Any], ...]) -> None:
    """Against the reference, as far as the rounding of the features leaves a value at all."""
    features, *rest = problem
    random = np.random.default_rng(0)
    rounding = np.abs(features).max() * np.finfo(np.float64).eps
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = reference(features, *rest)
        moved = [reference(features + rounding * random.standard_normal(features.shape), *rest) for _ in range(4)]
        # What rounding does to the class means, in their own size: no ratio of theirs is known better.
        unsure = rounding / expected.pop("mean_length")
    for name, value in expected.items():
        spread = max(abs(other[name] - value) for other in moved)
        if math.isnan(found[name]) or not math.isfinite(value) or not spread < 1e-3 * abs(value) + unsure:
            continue
        if name.endswith("accuracy") and spread > 0:
            continue
        ratio = 0.0 if name == "feature_radius" else 100 * unsure + 1e-14
        error = abs(found[name] - value)
        assert error <= RELATIVE * abs(value) + 100 * spread + ratio, f"{name} is {found[name]}, should be {value}"


# Arguments

JUNK: list[Callable[[], Any]] = [
    lambda: None,
    lambda: True,
    lambda: -1,
    lambda: 0,
    lambda: 3,
    lambda: 10**30,
    lambda: 10**400,
    lambda: 2.5,
    lambda: math.nan,
    lambda: math.inf,
    lambda: 1j,
    lambda: "text",
    lambda: "~nobody-of-this-name/x",
    lambda: "a\0b",
    lambda: b"\xff\xfe",
    lambda: {},
    lambda: {"a": 1},
    lambda: [],
    lambda: [1, "a", None],
    lambda: [[1.0], [2.0, 3.0]],
    object,
    lambda: np.float32(2.5),
    lambda: np.int64(3),
    lambda: np.array(3),
    lambda: np.array([], dtype=np.float64),
    lambda: np.zeros((6, 0)),
    lambda: np.array(["a", "b"]),
    lambda: np.array([object()]),
    lambda: np.zeros(3, dtype=[("a", int)]),
    lambda: np.ma.masked_array(np.eye(3), mask=np.eye(3, dtype=bool)),
    lambda: np.arange(6)[::-1],
    lambda: np.eye(6, 3),
    lambda: np.eye(6, 3).astype(">f4"),
    lambda: np.eye(6, 3, dtype=np.longdouble),
    lambda: torch.eye(6, 3).to_sparse(),
    lambda: torch.ones(6, 3, device="meta"),
    lambda: torch.ones(6, 3, dtype=torch.float16),
    lambda: torch.ones(6, 3, dtype=torch.complex64),
    lambda: torch.ones(6, dtype=torch.bool),
    lambda: torch.arange(6) % 3,
    lambda: torch.arange(6) * 10**9,
    lambda: torch.nn.Linear(3, 3),
    lambda: torch.nn.ReLU(),
    lambda: Path("/dev/null"),
    lambda: Path("/"),
]


def tapped(model: Any, layer: Any) -> None:
    with FeatureTap(model, layer):
        pass


def moments(classes: Any, width: Any, features: Any, labels: Any) -> None:
    ClassMoments(classes, width).update(features, labels)


GOOD: dict[str, tuple[Any, ...]] = {
    "classes": (2, 3, 10, 1000),
    "counts": ((3, 5), (2, 2, 4), (1, 10**6)),
    "per_class": (1, 100),
    "class_weights": (None, (1.0, 1.0)),
    "width": (None, 3, 2000),
    "loss": ("cross_entropy", "mse"),
    "label_smoothing": (0.0, 0.1),
    "bias": (False, True),
    "nonnegative": (False, True),
    "p": (2.0, 1.5, 4.0),
}
"""Values of keywords that have a meaning; all others take NUMBERS."""

NUMBERS = (1.0, 0.3, 1e-3, 5, 1e-12, 1e12)


def predicted(setting: str, values: dict[str, Any]) -> None:
    prediction = predict(setting, **values)
    assert prediction.applies == bool(prediction.values) and prediction.applies != bool(prediction.reason)
    for name, value in prediction.values.items():
        numbers = value if isinstance(value, tuple) else (value,)
        assert not any(isinstance(number, float) and math.isnan(number) for number in numbers), f"{name} is {value}"


@st.composite
def calls(draw: st.DrawFn) -> Callable[[], Any]:
    """One of the public functions with arguments some of which are junk."""

    def argument(*good: Any) -> Any:
        return draw(st.sampled_from(good)) if draw(st.integers(0, 7)) > 0 else draw(st.sampled_from(JUNK))()

    kind = draw(st.sampled_from(["metrics", "moments", "predict", "predict", "setting", "tap", "run", "config"]))
    features, labels = np.eye(6, 3), np.arange(6) % 3
    if kind == "metrics":
        head = (argument(features[:3], None), argument(np.ones(3), None))
        return partial(collapse_metrics, argument(features), argument(labels), *head, classes=argument(3, None))
    if kind == "moments":
        return partial(moments, argument(3), argument(3), argument(features), argument(labels))
    if kind == "predict":
        setting = draw(st.sampled_from(sorted(SETTINGS)))
        needed = inspect.signature(SETTINGS[setting]).parameters.values()
        given = {
            parameter.name: argument(*GOOD.get(parameter.name, NUMBERS))
            for parameter in needed
            if parameter.default is parameter.empty or draw(st.integers(0, 3)) == 0
        }
        return partial(predicted, setting, given)
    if kind == "setting":
        return partial(predict, argument("risk_floor"), classes=argument(3), radius=argument(1.0))
    if kind == "tap":
        return partial(tapped, argument(torch.nn.Linear(3, 3)), argument("", None))
    return partial(load_run if kind == "run" else load_config, argument("/nowhere"))


def check_call(call: Callable[[], Any]) -> str:
    call()
    return RIGHT


# Configurations and sweep files

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10**3),
    st.sampled_from(
        [2**63, 10**30, 10**400, 1e-300, 1e300, math.nan, math.inf, -0.0, "1e-3", "010", "auto", "~", "a\nb"]
    ),
    st.text(max_size=8),
    st.lists(st.integers(-1, 5), max_size=4),
    st.dictionaries(st.sampled_from(["name", "values", "lr", "from", "to", "", "\x07"]), st.integers(0, 3), max_size=3),
)


def branches(content: Any) -> list[dict[str, Any]]:
    """All mappings in a document."""
    if isinstance(content, list):
        return [found for entry in content for found in branches(entry)]
    return [content, *(f for v in content.values() for f in branches(v))] if isinstance(content, dict) else []


@st.composite
def documents(draw: st.DrawFn, paths: list[Path]) -> bytes:
    """A shipped file, changed in up to three places or as text."""
    text = draw(st.sampled_from(paths)).read_text(encoding="utf-8")
    if draw(st.integers(0, 3)) == 0:
        start, end = sorted(draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
        middle = draw(
            st.one_of(
                st.binary(max_size=6), st.sampled_from([b"&a [*a]", b"<<: *b", b"\t", b"!!python/name:os", b"\0"])
            )
        )
        return text[:start].encode() + middle + text[min(end, start + 20) :].encode()
    content = yaml.safe_load(text)
    for _ in range(draw(st.integers(1, 3))):
        branch = draw(st.sampled_from(branches(content)))
        key = draw(st.one_of(st.sampled_from(sorted(branch) or ["name"]), st.text(max_size=6)))
        if draw(st.booleans()):
            branch[key] = draw(VALUES)
        else:
            branch.pop(key, None)
    return yaml.safe_dump(content, allow_unicode=True).encode("utf-8", "surrogatepass")


def check_config(content: bytes) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "config.yaml")
        path.write_bytes(content)
        config = load_config(path)
        path.write_text(dump_config(config), encoding="utf-8")
        again = load_config(path)
        assert again == config and config_hash(again) == config_hash(config), "reads differently once it is written out"
    return RIGHT


def check_sweep(content: bytes) -> str:
    with tempfile.TemporaryDirectory() as folder:
        for shared in CONFIGS.glob("*.yaml"):
            Path(folder, shared.name).symlink_to(shared)
        (Path(folder) / "sweeps").mkdir()
        path = Path(folder, "sweeps", "sweep.yaml")
        path.write_bytes(content)
        grid = load_grid(path)
        assert len({config_hash(config) for config in grid.trials.values()}) == len(grid.trials), "two trials are one"
    return RIGHT


# Folders

KINDS = ["L", "RGB", "RGBA", "I;16", "P", "cut", "empty", "fifo", "other", "hidden", "loop", "subfolder"]


@st.composite
def folders(draw: st.DrawFn) -> tuple[list[str], list[list[tuple[str, int]]], dict[str, Any]]:
    pool = draw(st.sampled_from([["1", "2", "10", "011"], ["a", "b", "2", "10", "é", ".hidden", "x\ny"]]))
    names = draw(st.lists(st.sampled_from(pool), min_size=1, max_size=4, unique=True))
    # Mostly what is good, or hardly a folder would be read.
    kind = st.one_of(st.sampled_from(["L", "RGB", "I;16"]), st.sampled_from(["L", "RGB"]), st.sampled_from(KINDS))
    files = [draw(st.lists(st.tuples(kind, st.sampled_from([4, 4, 4, 6])), min_size=1, max_size=4)) for _ in names]
    channels = draw(st.sampled_from([None, 1, 3]))
    chosen: dict[str, Any] = {
        "channels": channels,
        "image_size": draw(st.sampled_from([None, 4])),
        "background": draw(st.sampled_from([None, 0.5])),
    }
    if channels:
        chosen |= {"channel_means": [0.0] * channels, "channel_stds": [1.0] * channels}
    return names, files, chosen


def write(path: Path, kind: str, side: int, random: np.random.Generator) -> NDArray[Any] | None:
    """Put one thing into a class; what of it is to be read, None if nothing is said of it here."""
    deep = random.integers(0, 2**16, (side, side), dtype=np.uint16)
    shape = (side, side, {"RGB": 3, "RGBA": 4}.get(kind, 1))
    pixels = random.integers(0, 256, shape, dtype=np.uint8).squeeze(-1 if shape[2] == 1 else ())
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "loop":
        path.with_suffix("").symlink_to("..")
    elif kind == "empty":
        path.touch()
    elif kind == "subfolder":
        path.mkdir()
    else:
        place = {"other": path.with_suffix(".gif"), "hidden": path.with_name(f".{path.name}")}.get(kind, path)
        image = Image.fromarray(deep if kind == "I;16" else pixels)
        (image.convert("P") if kind in ("P", "other") else image).save(place)
    if kind == "cut":
        path.write_bytes(path.read_bytes()[:60])
    return np.round(deep / 257.0) if kind == "I;16" else pixels.astype(np.float64)


def check_folder(case: tuple[list[str], list[list[tuple[str, int]]], dict[str, Any]]) -> str:
    names, files, chosen = case
    random, written = np.random.default_rng(0), dict[str, list[tuple[str, NDArray[Any] | None]]]()
    with tempfile.TemporaryDirectory() as folder:
        for split in ("train", "test"):
            for name, its_files in zip(names, files, strict=True):
                place = Path(folder, split, name)
                place.mkdir(parents=True)
                content = [
                    (kind, write(place / f"{i}.png", kind, side, random)) for i, (kind, side) in enumerate(its_files)
                ]
                if split == "train" and not name.startswith("."):
                    written[name] = [(kind, array) for kind, array in content if kind in KINDS[:5]]
        given = {"name": "image_folder", "root": folder, "workers": 0, **chosen}
        data = load_dataset(FolderOfImages.model_validate(given))
        assert data.class_names is not None and set(data.class_names) == set(written)
        numbers = all(name.isdecimal() for name in written)
        assert list(data.class_names) == sorted(written, key=int if numbers else str)
        expected = [part for name in data.class_names for part in written[name]]
        counts = [len(written[name]) for name in data.class_names]
        assert list(data.class_counts) == counts, f"{data.class_counts} images, should be {counts}"
        left_out = sum(kind in ("other", "hidden", "loop") for part in files for kind, _ in part)
        assert left_out == 0 or data.notes, "left out without a word"
        if chosen["channels"]:
            assert isinstance(data.train_inputs, torch.Tensor)
            for image, (kind, array) in zip(data.train_inputs, expected, strict=True):
                compare_image(image.numpy(), kind, array, chosen)
    return RIGHT


def compare_image(image: NDArray[Any], kind: str, array: NDArray[Any] | None, chosen: dict[str, Any]) -> None:
    if array is None or kind == "P" or array.shape[0] != image.shape[1]:
        return
    if kind == "RGBA":
        alpha = array[..., 3:] / 255
        array = array[..., :3] * alpha + round(255 * chosen["background"]) * (1 - alpha)
    if array.ndim == 3 and chosen["channels"] == 1:
        array = array @ np.array([0.299, 0.587, 0.114])
    wanted = np.broadcast_to(array[..., None] if array.ndim == 2 else array, (*array.shape[:2], len(image)))
    error = np.abs(255 * image.transpose(1, 2, 0) - wanted).max()
    assert error <= (1e-4 if kind != "RGBA" and array.dtype == np.float64 and chosen["channels"] == 3 else 2), (
        f"a pixel of {kind} is off by {error}"
    )


# The campaign

AREAS: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], str], int]] = {
    "features": (problems(), check_features, 1),
    "arguments": (calls(), check_call, 50),
    "configurations": (documents(sorted(CONFIGS.glob("*.yaml"))), check_config, 50),
    "sweep files": (documents(sorted((CONFIGS / "sweeps").glob("*.yaml"))), check_sweep, 50),
    "folders": (folders(), check_folder, 1),
}
"""What is drawn, how it is checked, and how many lines a refusal may have (one for each problem)."""


def run(area: str, cases: int, start: int) -> tuple[Counter[str], float, str]:
    """How the cases of an area ended, the seconds of the slowest, and what went wrong ("" if nothing did)."""
    drawn, check, lines = AREAS[area]
    ends: Counter[str] = Counter()
    slowest = 0.0

    @seed(start)
    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(drawn)
    def campaign(case: Any) -> None:
        nonlocal slowest
        began = perf_counter()
        ends[outcome(lambda: check(case), lines=lines)] += 1
        slowest = max(slowest, perf_counter() - began)

    try:
        campaign()
    except (Exception, Hang) as error:
        return ends, slowest, "".join(traceback.format_exception(error))
    return ends, slowest, ""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Unplanned inputs: right, NaN with a reason, or one line.")
    parser.add_argument("--cases", type=int, default=2000, help="in all (2000)")
    parser.add_argument("--seed", type=int, default=0, help="of the cases (0)")
    parser.add_argument("--only", choices=sorted(AREAS), help="one area, with all of the cases")
    chosen = parser.parse_args(arguments)
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    shares = {chosen.only: 1.0} if chosen.only else SHARES
    print("| area | cases | right | NaN with a reason | one line | wrong | slowest |")
    print("|---|---|---|---|---|---|---|")
    problems_found = []
    for area, share in shares.items():
        ends, slowest, problem = run(area, round(share * chosen.cases), chosen.seed)
        numbers = [ends.total(), *(ends[end] for end in (RIGHT, UNDEFINED, REFUSED)), int(bool(problem))]
        print(f"| {area} | {' | '.join(map(str, numbers))} | {slowest:.2f} s |", flush=True)
        problems_found += [f"{area}:\n{problem}"] if problem else []
    print("\n".join(problems_found), file=sys.stderr)
    return 1 if problems_found else 0


if __name__ == "__main__":
    sys.exit(main())
