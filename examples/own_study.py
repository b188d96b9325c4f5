"""A study of one's own from Python: does momentum make collapse come sooner? python examples/own_study.py [DIRECTORY]

What is expected and the rule are written down before the runs. docs/own_study.md explains each field.
"""

import sys
from pathlib import Path

import yaml

import nc_bench
from nc_bench.sweep import main as sweep
from nc_bench.sweeps.studies.evidence import Answer, Evidence, above, interval

BASE = {
    "data": {"name": "digits", "samples_per_class": 40},
    "model": {"name": "mlp", "widths": [32, 16], "final_activation": False},
    "head": {"bias": False},
    "constraints": {"features": {"radius": 5.0}, "head": {"radius": 1.0}},
    "optimizer": {"name": "sgd", "lr": 0.05},
    "training": {"epochs": 5, "batch_size": 50},
    "device": "cpu",
}
ARMS = {"plain": {}, "momentum": {"settings": {"optimizer.momentum": 0.9}}}
STUDY = {
    "question": "Does momentum make digits collapse sooner?",
    "hypothesis": "After five epochs the efficiency is higher with momentum 0.9 than without.",
    "prediction": "None; theory says where training ends and not when.",
    "matched": "Network, initial weights, batches, learning rate, epochs.",
    "refuted_if": "The 95 % t interval of the difference lies below 0.",
    "rule": "Supported if that interval lies above 0, refuted if below, else undecided.",
    "answer": "import:own_study:sooner",
    "expected_time": "seconds",
    "limits": "One data set, one network, one learning rate.",
    "measures": {
        "efficiency": {"metric": "simplex_efficiency"},
        "test accuracy": {"metric": "accuracy", "split": "test"},
    },
    "rows": ["arm"],
    "compare": {"against": "plain"},
    "figure": {"kind": "curves", "measures": ["efficiency", "test accuracy"]},
}


def sooner(evidence: Evidence) -> Answer:
    """The rule: from the table of the runs to a verdict."""
    found = evidence.difference("efficiency", arm="momentum")
    rows = tuple((arm, interval(evidence.at("efficiency", arm=arm))) for arm in evidence.labels("arm"))
    headline = f"momentum changes efficiency by {interval(found)}, n = {found.runs}."
    return Answer(verdict=above(found, 0.0), headline=headline, header=("arm", "efficiency"), rows=rows)


if __name__ == "__main__":  # a worker is a process, which imports this file
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "results/runs/momentum")
    file = folder.with_suffix(".yaml")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump({"base": BASE, "arms": ARMS, "seeds": 5, "study": STUDY}, sort_keys=False))
    if sweep(["--config", str(file), "--out", str(folder), "--workers", "1"]) == 0:
        print(nc_bench.load_sweep(folder).table)
