"""The one line that each wrong value, unknown key and contradiction is worth."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_files import BALL, MODELS, OPTIMIZERS, refusal, written

from nc_bench.config import load_config


@pytest.mark.parametrize(
    "override, problem",
    [
        ("optimizer.momentun=.9", "optimizer.momentun: unknown key; did you mean 'momentum'?"),
        (
            "optimizer.weight_decay=1",
            "optimizer.weight_decay: unknown key; did you mean 'objective.weight_decay'?",
        ),
        ("optimzer.lr=1", "optimzer: unknown key; did you mean 'optimizer'?"),
        ("lr=1", "lr: unknown key; did you mean 'optimizer.lr'?"),
        ("head.colour=1", "head.colour: unknown key; known are bias, init, trainable"),
        ("optimizer.name=sdg", f"optimizer.name: sdg given, should be {OPTIMIZERS}; did you mean 'sgd'?"),
        ("model.name=[mlp]", f"model.name: [mlp] given, should be {MODELS}; did you mean 'mlp'?"),
        ("model={widths: [8]}", f"model.name: missing, should be {MODELS}"),
        ("model=resnet18", f"model: resnet18 given, should be a mapping with name: {MODELS}"),
        ("model.name=resnet19", f"model.name: resnet19 given, should be {MODELS}; did you mean 'resnet18'?"),
        ("model={name: resnet18, stem: large}", "model.stem: large given, should be small or imagenet"),
        (
            "model={name: resnet18, widths: [8]}",
            "model.widths: unknown key for name: resnet18; known are name, stem, width_multiplier",
        ),
        ("model={name: tf:big}", f"model.name: tf:big given, should be {MODELS}"),
        (
            "model={name: 'torchvision:a b'}",
            "model.name: torchvision:a b given, should be torchvision:<name> or timm:<name>, as the library calls it",
        ),
        ("schedule={}", "schedule.name: missing, should be constant, multi_step or cosine"),
        ("optimizer=sgd", f"optimizer: sgd given, should be a mapping with name: {OPTIMIZERS}"),
        ("training=", "training: null given, should be a mapping of keys to values"),
        (
            "training={batch_size: 1}",
            "training.epochs: missing (Passes over the training data; with 0 the model is measured and "
            "judged as it is)",
        ),
        ("optimizer.lr=-0.1", "optimizer.lr: -0.1 given, should be greater than 0"),
        ("optimizer.lr=true", "optimizer.lr: true given, should be a number"),
        ("optimizer.lr=fast", "optimizer.lr: fast given, should be a number"),
        ("optimizer.lr=nan", "optimizer.lr: nan given, should be a number"),
        ("optimizer.lr=1e999", "optimizer.lr: 1e999 given, should be a finite number"),
        ("optimizer.momentum=1", "optimizer.momentum: 1 given, should be less than 1"),
        ("training.epochs=3.7", "training.epochs: 3.7 given, should be a whole number"),
        ("training.epochs=1e-3", "training.epochs: 0.001 given, should be a whole number"),
        ("training.epochs=true", "training.epochs: true given, should be a whole number"),
        ("training.batch_size=0", "training.batch_size: 0 given, should be greater than or equal to 1"),
        ("head.bias=1", "head.bias: 1 given, should be true or false"),
        ("head.bias='yes'", "head.bias: 'yes' given, should be true or false"),
        ("data.labels=true", "data.labels: true given, should be original, random or uniform"),
        ("data.label_noise=1.5", "data.label_noise: 1.5 given, should be less than or equal to 1"),
        ("data={name: digits, labels: random, label_noise: .1}", "data.label_noise: needs data.labels: original"),
        (
            "data={name: image_folder, channel_means: [.5]}",
            "data.channel_means: goes with data.channel_stds; state both or neither",
        ),
        ("data.keep_classes=[1, 1]", "data.keep_classes: [1, 1] given, should not list a class twice"),
        ("data.keep_classes=[1]", "data.keep_classes: [1] given, should have at least 2 entries"),
        (
            "data.balance={name: counts, counts: [3, 0]}",
            "data.balance.counts.1: 0 given, should be greater than or equal to 1",
        ),
        (
            "data.balance.name=stepp",
            "data.balance.name: stepp given, should be full, step, exponential or counts; did you mean 'step'?",
        ),
        (
            "data.balance={name: step, ratio: .5, minority_classes: 2}",
            "data.balance.ratio: 0.5 given, should be greater than or equal to 1",
        ),
        (
            "data={name: fashion_mnist, colour: 1}",
            "data.colour: unknown key for name: fashion_mnist; known are name, "
            "labels, label_noise, balance, seed, keep_classes, samples_per_class, test_samples_per_class, "
            "augment, memory_gb, workers, root, download",
        ),
        ("dtype=float23", "dtype: float23 given, should be float32 or float64; did you mean 'float32'?"),
        (
            "device=mps",
            "device: mps given, should be auto (a GPU where there is one), cpu, cuda or cuda:N (N < 100); "
            "Apple's GPUs have no float64",
        ),
        ("data={name: mnist, root: ''}", "data.root: '' given, should not be empty"),
        ("data={name: mnist, root: 3}", "data.root: 3 given, should be text"),
        ("seed=-1", "seed: -1 given, should be greater than or equal to 0"),
        ("constraints.features.radius=0", "constraints.features.radius: 0 given, should be greater than 0"),
        ("constraints.head={radius: 0}", "constraints.head.radius: 0 given, should be greater than 0"),
        (
            "constraints.head={set: unit_rows, temperature: 0}",
            "constraints.head.temperature: 0 given, should be greater than or equal to 0.000001",
        ),
        (
            "constraints.head={set: unit_rows, temperature: -1}",
            "constraints.head.temperature: -1 given, should be greater than or equal to 0.000001",
        ),
        ("objective.mixup=1.5", "objective.mixup: 1.5 given, should be less than or equal to 1"),
        ("objective.mixup=-.1", "objective.mixup: -.1 given, should be greater than or equal to 0"),
        (
            "model={name: deep_linear, widths: [8]}",
            "model.widths: [8] given, should have at least 2 entries",
        ),
        (
            "record.per_class=[recall]",
            "record.per_class.0: recall given, should be accuracy, cosine, mean_norm, risk, variance or weight_norm",
        ),
        ("record.per_class=[risk, risk]", "record.per_class: [risk, risk] given, should not repeat a name"),
        ("record.stable_ranks=often", "record.stable_ranks: often given, should be true or false"),
        ("constraints.features.p=.9", "constraints.features.p: 0.9 given, should be greater than or equal to 1"),
        ("constraints.features.p=.nan", "constraints.features.p: .nan given, should be greater than or equal to 1"),
        ("model.widths=[]", "model.widths: [] given, should have at least 1 entry"),
        ("model.widths=[8, 0]", "model.widths.1: 0 given, should be greater than or equal to 1"),
        ("model.widths=[0]", "model.widths.0: 0 given, should be greater than or equal to 1"),
        (
            "model={name: unconstrained, widths: [3, 4]}",
            "model.widths: [3, 4] given, should have at most 1 entry",
        ),
        ("record.every=often", "record.every: often given, should be epoch, log or a list of epochs"),
        ("record.every=[1, 1]", "record.every: [1, 1] given, should be strictly increasing"),
        ("record.layers=some", "record.layers: some given, should be all or a list of layers"),
        ("record.layers=[a, a]", "record.layers: [a, a] given, should not repeat a name"),
        ("training.stop={}", "training.stop: should name a rule: simplex_efficiency or terminal_epochs"),
        ("record.features=some", "record.features: some given, should be true or false"),
        ("record.features=[tset]", "record.features.0: tset given, should be train or test; did you mean 'test'?"),
        ("record.layers=[]", "record.layers: [] given, should have at least 1 entry"),
        ("record.every=[0, x]", "record.every.1: x given, should be a whole number"),
        (
            "schedule={name: multi_step, milestones: [.75, .5]}",
            "schedule.milestones: [0.75, 0.5] given, should be strictly increasing",
        ),
        (
            "schedule={name: multi_step, milestones: [1]}",
            "schedule.milestones.0: 1 given, should be less than 1",
        ),
        (
            "optimizer={name: adam, lr: 1, betas: [.9, 1]}",
            "optimizer.betas.1: 1 given, should be less than 1",
        ),
        ("lr", "'lr' is not of the form dotted.key=value"),
        ("data..name=x", "'data..name=x' is not of the form dotted.key=value"),
        ("model.widths.0=3", "'model.widths.0=3': model.widths is a value, not a section"),
        ("seed={a: 1, a: 2}", "'seed={a: 1, a: 2}', line 1, column 8: repeated key 'a'"),
    ],
)
def test_a_wrong_override_is_worth_one_line(ball: Path, override: str, problem: str) -> None:
    assert refusal(ball, override) == [f"command line: {problem}"]


def test_decay_is_said_never_by_surprise(ball: Path) -> None:
    (line,) = refusal(ball, "optimizer={name: adamw, lr: 1e-3}")
    assert line.startswith("command line: optimizer.decoupled_decay: missing (Decoupled decay")
    adamw = "optimizer={name: adamw, lr: 1e-3, decoupled_decay: .01}"
    assert refusal(ball, adamw, "objective.weight_decay=.1") == [
        "command line: objective.weight_decay: 0.1 given, but AdamW decays decoupled: set optimizer.decoupled_decay"
    ]
    assert load_config(ball, ["optimizer.decoupled_decay=.1"]).optimizer.name == "sgd"


def test_cross_checks_are_collected(ball: Path) -> None:
    overrides = ["optimizer.nesterov=true", "optimizer.momentum=0", "optimizer.decoupled_decay=.1"]
    smoothed = ["objective.loss=exponential", "objective.label_smoothing=.1"]
    assert refusal(ball, *overrides, "objective.weight_decay=.2", *smoothed) == [
        "command line: objective.label_smoothing: needs objective.loss: cross_entropy",
        "command line: optimizer.nesterov: needs optimizer.momentum > 0",
        "command line: objective.weight_decay: 0.2 (coupled) given together with "
        "optimizer.decoupled_decay: 0.1; set one of them to 0",
    ]


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (
            ["constraints.head={set: spectral}"],
            "constraints.head.radius: missing (Bound of the spectral norm, or of the rows' root mean square)",
        ),
        (
            ["constraints.head={set: unit_rows}"],
            "constraints.head.temperature: missing (t of unit rows, whose logits are <w_k, f(x)>/t. "
            "Only for unit_rows, without radius)",
        ),
        (
            ["constraints.head={set: unit_rows, temperature: .1, radius: 2}"],
            "constraints.head.radius: 2 given, but unit_rows has a temperature",
        ),
        (
            ["constraints.head={radius: 2, temperature: .1}"],
            "constraints.head.temperature: 0.1 given, but spectral has a radius",
        ),
        (["objective.mixup=.5"], "objective.mixup: mixes free features only, needs model.name: unconstrained"),
        (
            ["model={name: unconstrained, widths: [12]}", "objective={mixup: .5, loss: mse}"],
            "objective.mixup: needs objective.loss: cross_entropy",
        ),
        (
            ["model={name: unconstrained, widths: [12]}", "objective={mixup: .5, label_smoothing: .1}"],
            "objective.mixup: 0.5 given together with label_smoothing; choose one",
        ),
        (["objective={loss: focal}"], "objective.focal_gamma: missing (2 in Lin et al. 2017)"),
        (["objective.focal_gamma=2"], "objective.focal_gamma: needs objective.loss: focal"),
        (["objective.mse_target=2"], "objective.mse_target: needs objective.loss: mse"),
        (
            ["objective.loss=focal", "objective.focal_gamma=2", "objective.mse_true_weight=2"],
            "objective.mse_true_weight: needs objective.loss: mse",
        ),
        (
            ["optimizer={name: adamw, lr: 1, decoupled_decay: .1}", "objective.head_decay=.2"],
            "objective.head_decay: 0.2 given, but AdamW decays decoupled: set optimizer.decoupled_head_decay",
        ),
        (
            ["optimizer.decoupled_head_decay=.1", "objective.weight_decay=.2"],
            "objective.weight_decay: 0.2 (coupled) given together with optimizer.decoupled_head_decay: 0.1; "
            "set one of them to 0",
        ),
        (
            ["head.trainable=false", "objective.head_decay=.2"],
            "objective.head_decay: 0.2 given, but head.trainable: false",
        ),
        (
            ["model={name: unconstrained, widths: [12]}", "objective.head_decay=.2", "objective.weight_decay=.1"],
            "objective.head_decay: replaces the decay of a feature table's only weights; set the other one to 0",
        ),
        (
            ["optimizer={name: lbfgs}", "constraints.head=null", "training.batch_size=12"],
            "training.batch_size: lbfgs needs null (full batch)",
        ),
        (
            ["optimizer={name: lbfgs}", "training.batch_size=null", "constraints.head={radius: 1}"],
            "constraints.head: lbfgs cannot be projected after each step",
        ),
        (
            ["optimizer={name: lbfgs, clip_norm: 1}"],
            "optimizer.clip_norm: unknown key for name: lbfgs; known are name, lr, history",
        ),
        (
            ["optimizer={name: muon, lr: .02, adamw_lr: 1e-3}", "objective.weight_decay=.1"],
            "objective.weight_decay: 0.1 given, but Muon decays decoupled: set optimizer.decoupled_decay",
        ),
        (
            ["optimizer={name: muon, lr: .02, adamw_lr: 1e-3}", "model={name: unconstrained, widths: [12]}"],
            "optimizer.name: muon is for the weights of hidden layers, and model.name: unconstrained has none",
        ),
        (
            ["constraints.features={radius: 1, set: sphere, p: 3}"],
            "constraints.features.p: 3 given, but sphere needs 2",
        ),
        (
            [
                "model={name: unconstrained, widths: [12], nonnegative: true}",
                "constraints.features={radius: 1, set: sphere}",
            ],
            "constraints.features.set: sphere needs model.nonnegative: false",
        ),
    ],
)
def test_options_without_what_they_belong_to(ball: Path, overrides: list[str], problem: str) -> None:
    assert refusal(ball, *overrides) == [f"command line: {problem}"]


def test_problems_name_the_file_or_the_command_line(ball: Path) -> None:
    broken = written(ball, BALL.replace("momentum: .9", "momentun: .9, colour: 1").replace("300", "-1"))
    assert refusal(broken, "seed=x", "constraints.outputs.p=3", "training.batch_size=5") == [
        "command line: seed: x given, should be a whole number",
        "ball.yaml: constraints.outputs.radius: missing (Radius of the ball)",
        "ball.yaml: optimizer.momentun: unknown key; did you mean 'momentum'?",
        "ball.yaml: optimizer.colour: unknown key for name: sgd; known are name, lr, backbone_lr_factor, "
        "clip_norm, decoupled_decay, decoupled_head_decay, momentum, nesterov",
        "ball.yaml: training.epochs: -1 given, should be greater than or equal to 0",
    ]


def test_very_many_problems_are_counted_and_not_listed(ball: Path) -> None:
    lines = refusal(written(ball, BALL + "".join(f"key{number}: 1\n" for number in range(5000))))
    assert len(lines) == 21
    assert lines[-1] == "ball.yaml: ...: and 4,980 more problems"


def test_a_key_is_said_on_one_line_whatever_it_holds(ball: Path) -> None:
    (line,) = refusal(written(ball, BALL + '"a\\nb\\e[2J\\u202e": 1\n'))
    assert line.startswith("ball.yaml: a b\ufffd[2J\ufffd: unknown key; known are ")
