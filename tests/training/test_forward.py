"""Ways to be fast: bfloat16, channels innermost, torch.compile. Training moves by rounding, measuring not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import measured, network, tiny_dataset, tiny_images
from torch import Tensor

from nc_bench.config import Config, ConfigError, ConstantSchedule
from nc_bench.recording import Recorder
from nc_bench.training import run_training
from nc_bench.training.ensemble import Ensemble
from nc_bench.training.forward import TrainingForward, check_bfloat16

CPU = torch.device("cpu")
IMAGES, VECTORS = tiny_images(), tiny_dataset()
THIN = {"name": "resnet18", "width_multiplier": 1 / 16}
WIDER = {"name": "resnet18", "width_multiplier": 1 / 4}


def small(model: dict[str, Any] = THIN, **training: Any) -> Config:
    training = {"epochs": 2, "batch_size": 10} | training
    return network(model=model, head={"bias": True}, schedule={"name": "constant"}, training=training)


def mlp(**training: Any) -> Config:
    return small({"name": "mlp", "widths": [8, 4], "batch_norm": True, "final_activation": False}, **training)


def ensemble_of(config: Config) -> Ensemble:
    return Ensemble([config], IMAGES if config.model.name == "resnet18" else VECTORS, CPU)


def step(config: Config) -> Ensemble:
    ensemble = ensemble_of(config)
    next(ensemble.steps_of_epoch())
    return ensemble


def distance(mine: Ensemble, other: Ensemble) -> float:
    """Largest difference of two models' states, relative to how far the step moved."""
    start = ensemble_of(other.configs[0]).model.state_dict()
    pairs = [
        (a, b, start[k])
        for (k, a), b in zip(mine.model.state_dict().items(), other.model.state_dict().values(), strict=True)
    ]
    moved = max(float((b - s).abs().max()) for _, b, s in pairs if b.is_floating_point())
    return max(float((a - b).abs().max()) for a, b, _ in pairs if a.is_floating_point()) / moved


@pytest.mark.parametrize("make", [small, mlp])
def test_bfloat16_moves_a_step_by_its_rounding(make: Any) -> None:
    plain, low = step(make()), step(make(autocast="bfloat16"))
    assert all(p.dtype == torch.float32 for p in low.model.parameters())
    assert 1e-5 < distance(low, plain) < 0.5


def test_the_layers_run_in_bfloat16_and_the_bound_does_not() -> None:
    config = small(autocast="bfloat16").model_copy(
        update={"constraints": network(constraints={"features": {"radius": 0.01}}).constraints}
    )
    ensemble = ensemble_of(config)
    seen: dict[str, torch.dtype] = {}
    network_ = ensemble.model.backbone.module
    network_.layer3[0].conv1.register_forward_hook(lambda *arguments: seen.update(conv=arguments[2].dtype))
    ensemble.model.backbone.bound.register_forward_hook(lambda *arguments: seen.update(bound=arguments[2].dtype))
    features, outputs = ensemble.forward(ensemble.inputs[None])
    assert seen == {"conv": torch.bfloat16, "bound": torch.float32}
    assert features.dtype == outputs.dtype == torch.float32
    assert float(features.detach().norm(dim=-1).max()) == pytest.approx(0.01, rel=1e-6)


@pytest.mark.parametrize("option", [{"autocast": "bfloat16"}, {"channels_last": True}])
def test_a_measurement_does_not_see_how_training_is_done(option: dict[str, Any]) -> None:
    """The same weights give the same numbers, bit for bit."""
    found = []
    for config in (small(WIDER), small(WIDER, **option)):
        ensemble = ensemble_of(config)
        recording = Recorder(ensemble.model, ensemble.configs, ensemble.classes).record(ensemble.train_split())
        found.append(dict(recording.penultimate.metrics[0]))
    assert str(found[0]) == str(found[1])


def test_channels_last_is_the_same_step() -> None:
    plain, other = step(small(WIDER)), step(small(WIDER, channels_last=True))
    assert distance(other, plain) < 1e-3
    seen: list[Tensor] = []
    other.model.backbone.module.layer1.register_forward_hook(lambda *arguments: seen.append(arguments[2]))
    other.forward(other.inputs[None])
    assert seen[0].is_contiguous(memory_format=torch.channels_last) and not seen[0].is_contiguous()


def test_channels_too_few_for_the_layout_are_refused() -> None:
    """What oneDNN gets wrong there was seen as wrong gradients, as memory overwritten and as an endless loop."""
    message = (
        r"^training\.channels_last: gradients of a strided 1 x 1 convolution of 4 channels would be wrong on a CPU"
    )
    with pytest.raises(ConfigError, match=message):
        ensemble_of(small(channels_last=True))


@pytest.mark.parametrize(
    ("sections", "problem"),
    [
        (
            {"dtype": "float64", "training": {"autocast": "bfloat16"}},
            "training.autocast: bfloat16 needs dtype: float32",
        ),
        ({"training": {"channels_last": True}}, "training.channels_last: needs a model of images, not model.name: mlp"),
    ],
)
def test_contradictions(sections: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        network(**sections)


def test_a_device_without_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla T4")
    message = r"^training\.autocast: cuda cannot multiply in bfloat16 \(Tesla T4\); set training\.autocast: none$"
    with pytest.raises(ConfigError, match=message):
        check_bfloat16(cuda)

    def refuse(*_: object) -> None:
        raise RuntimeError("not implemented for 'BFloat16'\nand more")

    check_bfloat16(CPU)
    monkeypatch.setattr(torch, "mm", refuse)
    with pytest.raises(ConfigError, match=r"cpu cannot multiply in bfloat16 \(not implemented for 'BFloat16'\); set"):
        ensemble_of(small(autocast="bfloat16"))


def resume_a_compiled_run(folder: Path) -> None:
    # A cosine would be another one over one epoch than over three.
    constant = {"schedule": ConstantSchedule(name="constant")}
    config = mlp(compile=True, epochs=3, checkpoint_seconds=0).model_copy(update=constant)
    shorter = config.model_copy(update={"training": mlp(compile=True, epochs=1).training})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("nc_bench.training.run.load_dataset", lambda data: VECTORS)
        run_training(config, folder / "whole")
        run_training(shorter, folder / "resumed")
        assert run_training(config, folder / "resumed", resume=True) == "complete"
    assert measured(folder / "resumed") == measured(folder / "whole")
    plain, compiled = step(mlp()), step(mlp(compile=True))
    assert distance(compiled, plain) < 1e-4
    assert type(compiled.forward.run).__name__ == "OptimizedModule"


@pytest.mark.slow
@pytest.mark.skipif(" " in torch.__file__, reason="torch's compiler does not find its headers in a path with a space")
def test_a_compiled_run_is_resumed_bit_for_bit(tmp_path: Path) -> None:
    """In a process of its own: torch's compiler cannot read functions that are checked as those of the tests are."""
    program = "import sys, pathlib, test_forward; test_forward.resume_a_compiled_run(pathlib.Path(sys.argv[1]))"
    paths = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_no_compiler(tmp_path: Path) -> None:
    program = (
        "import torch; from nc_bench.config import ConfigError; from nc_bench.training.forward import check_compiler\n"
        "try: check_compiler(torch.device('cpu'))\n"
        "except ConfigError as error: print(error)"
    )
    nowhere = {"CXX": str(tmp_path / "none"), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path), "PATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ | nowhere
    )
    (line,) = done.stdout.splitlines()
    assert line.startswith("training.compile: torch.compile does not work here (")
    assert line.endswith("; set training.compile: false")


def test_only_what_is_asked_for_is_done() -> None:
    ensemble = ensemble_of(small())
    assert isinstance(ensemble.forward, TrainingForward) and type(ensemble.forward.run).__name__ != "OptimizedModule"
