"""Three neurons on the points -1, 0, 1: the outer class collapses only on the line p3 = 2 p1 (section 5.2).

The network is h(x) = a1 s(-x) - a2 s(x+1) + a3 s(x); the points have the probabilities p1, p2, p3 and the labels
+, -, +; the risk is p1 e^-h(-1) + p2 e^h(0) + p3 e^-h(1). It is solved twice: as an ordinary differential equation
for a1, a2, a3, and as a network with all of its nine parameters under gradient descent, on samples drawn in these
proportions, with the outputs (-h, h) as logits and `objective.loss: exponential` of the runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import torch
from jaxtyping import Float64, Int64
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from torch import Tensor, nn

from nc_bench.claims.claim import Claim, predicted_claim
from nc_bench.claims.problems import unconstrained
from nc_bench.training.objective import Objective

Probabilities = tuple[float, float, float]
Start = tuple[float, float, float]

CASES: Mapping[str, Probabilities] = {
    "on_line": (1 / 6, 1 / 2, 1 / 3),
    "on_line_rare_middle": (0.3, 0.1, 0.6),
    "off_line": (1 / 3, 1 / 3, 1 / 3),
    "off_line_rare_left": (0.02, 0.28, 0.7),
}
"""Probabilities (p1, p2, p3) by name, on and off the line p3 = 2 p1."""

STARTS = ((0.0, 0.0, 0.0), (3.0, -2.0, 1.0), (-2.0, 2.0, -1.0), (1.0, 4.0, -3.0))
"""Initial (a1, a2, a3)."""

LAST_LOG_TIME = 30.0
"""log(1 + t) at the end: what is left of the start is of the order e^-30."""

STEP, STEPS = 0.2, 1500
"""Gradient descent takes steps of STEP/risk; the time grows by about STEP/6 of itself in each."""

SAMPLES = 150
"""So many samples have exactly the proportions of every case."""

TOLERANCE = 1e-8
SOURCE = "E & Wojtowytsch 2021, Lemma 5.8"


def problem(case: str) -> dict[str, float]:
    """The probabilities of a case by name."""
    return dict(zip(("p1", "p2", "p3"), CASES[case], strict=True))


@dataclass(frozen=True, kw_only=True)
class Path:
    """log(1 + t), (n,), and (a1, a2, a3) at these times, (n, 3)."""

    log_time: NDArray[np.float64]
    amplitudes: NDArray[np.float64]

    @property
    def gap(self) -> NDArray[np.float64]:
        """h(t, 1) - h(t, -1) = a3 - a2 - a1, (n,); 0 where the outer class has collapsed."""
        a1, a2, a3 = self.amplitudes.T
        return a3 - a2 - a1

    @property
    def exponential(self) -> NDArray[np.float64]:
        """exp(2 a2 - a3), (n,)."""
        _, a2, a3 = self.amplitudes.T
        return np.exp(2 * a2 - a3)


@cache
def flow(p: Probabilities, start: Start) -> Path:
    """The gradient flow a1' = p1 e^-a1, a2' = p2 e^-a2 - p3 e^(a2-a3), a3' = p3 e^(a2-a3) from `start`.

    It is integrated in s = log(1 + t), where its rates stay of order one, up to LAST_LOG_TIME with a relative
    accuracy of 1e-10. Raises RuntimeError if the integrator gives up. Proof of Lemma 5.8.
    """
    log_p = np.log(p)
    push = np.array([[1.0, 0, 0], [0, 1.0, -1.0], [0, 0, 1.0]])
    margin = np.array([[-1.0, 0, 0], [0, -1.0, 0], [0, 1.0, -1.0]])

    def rates(s: float, a: NDArray[np.float64]) -> NDArray[np.float64]:
        return push @ np.exp(log_p + margin @ a + s)

    def jacobian(s: float, a: NDArray[np.float64]) -> NDArray[np.float64]:
        return push @ (np.exp(log_p + margin @ a + s)[:, None] * margin)

    times = np.linspace(0, LAST_LOG_TIME, 301)
    found = solve_ivp(
        rates, (0, LAST_LOG_TIME), start, method="LSODA", t_eval=times, jac=jacobian, rtol=1e-10, atol=1e-12
    )
    if not found.success:
        raise RuntimeError(f"the flow from {start} with p = {p} was not solved: {found.message}")
    return Path(log_time=found.t, amplitudes=found.y.T)


class ThreeNeurons(nn.Module):
    """h(x) = sum_i c_i s(w_i x + b_i) for t networks: every parameter is (t, 3), c = (a1, -a2, a3).

    s(z) = z^2 (3 - 2z) between 0 and 1, constant outside: the paper's simplified sigmoid, differentiable, so that
    its derivative vanishes where the three neurons see the points -1, 0 and 1.
    """

    def __init__(self, amplitudes: Float64[Tensor, "t 3"]) -> None:
        super().__init__()
        self.outer = nn.Parameter(amplitudes * amplitudes.new_tensor([1.0, -1.0, 1.0]))
        self.slope = nn.Parameter(amplitudes.new_tensor([-1.0, 1.0, 1.0]).repeat(len(amplitudes), 1))
        self.shift = nn.Parameter(amplitudes.new_tensor([0.0, 1.0, 0.0]).repeat(len(amplitudes), 1))

    @property
    def amplitudes(self) -> Float64[Tensor, "t 3"]:
        """(a1, a2, a3) of every network."""
        return self.outer.detach() * self.outer.new_tensor([1.0, -1.0, 1.0])

    def forward(self, x: Float64[Tensor, "n"]) -> Float64[Tensor, "t n"]:
        z = (x[:, None] * self.slope[:, None] + self.shift[:, None]).clamp(0, 1)
        return (self.outer[:, None] * z.square() * (3 - 2 * z)).sum(-1)


def samples(p: Probabilities) -> Int64[Tensor, "n"]:
    """Which of the points -1, 0, 1 (0, 1, 2) each of SAMPLES samples is: as many as their probabilities say."""
    return torch.repeat_interleave(torch.arange(3), torch.tensor([round(SAMPLES * share) for share in p]))


@dataclass(frozen=True, kw_only=True)
class Descent:
    """Networks from all STARTS: log(1 + t) and h(1) - h(-1) before every step, the final (a1, a2, a3), and by how
    much any of the slopes and shifts inside the neurons has moved."""

    log_time: Float64[Tensor, "n t"]
    gap: Float64[Tensor, "n t"]
    amplitudes: Float64[Tensor, "t 3"]
    inner_movement: float


@cache
def descent() -> Mapping[str, Descent]:
    """Gradient descent on all nine parameters of the network, float64, for every case and start at once.

    The step is STEP/risk: it grows as the risk falls, which is the gradient flow in rescaled time. Once settled, a
    step lengthens the time by a fixed factor, and that leaves both limits of Lemma 5.8 as they are.
    """
    model = ThreeNeurons(torch.tensor(STARTS * len(CASES), dtype=torch.float64))
    inner = torch.stack([model.slope, model.shift]).detach()
    points = torch.tensor([-1.0, 0, 1], dtype=torch.float64)
    drawn = torch.stack([samples(p) for p in CASES.values()]).repeat_interleave(len(STARTS), 0)
    labels = (drawn != 1).long()
    binary = unconstrained(1, objective={"loss": "exponential"})
    objective = Objective([binary] * len(drawn), labels, 2, torch.float64)
    time = torch.zeros(len(drawn), dtype=torch.float64)
    times, gaps = [], []
    for _ in range(STEPS):
        outputs = model(points)
        h = outputs.gather(1, drawn)
        risks = objective.loss(torch.stack([-h, h], -1), labels)
        risks.sum().backward()
        times.append(time.log1p())
        gaps.append((outputs[:, 2] - outputs[:, 0]).detach())
        steps = STEP / risks.detach()
        time = time + steps
        _step(model, steps)
    moved = (torch.stack([model.slope, model.shift]).detach() - inner).abs().amax((0, 2))
    parts = [part.split(len(STARTS), -1) for part in (torch.stack(times), torch.stack(gaps), moved)]
    return {
        name: Descent(log_time=log_time, gap=gap, amplitudes=amplitudes, inner_movement=float(movement.max()))
        for name, log_time, gap, movement, amplitudes in zip(
            CASES, *parts, model.amplitudes.split(len(STARTS)), strict=True
        )
    }


@torch.no_grad()
def _step(model: ThreeNeurons, steps: Float64[Tensor, "t"]) -> None:
    for parameter in model.parameters():
        assert parameter.grad is not None
        parameter.sub_(steps[:, None] * parameter.grad)
        parameter.grad = None


def claims() -> list[Claim]:
    """The limits of Lemma 5.8, by the differential equation and by the network, and that the start is forgotten."""
    return [
        *(claim for case in CASES for claim in _limits(case)),
        Claim(
            name="three_neurons_start",
            statement="every start ends with the same gap: the largest difference between two, equation or network",
            source=SOURCE,
            predicted=lambda: 0.0,
            obtained=lambda: max(_gap_range(case) for case in CASES),
            tolerance=TOLERANCE,
            relative=False,
        ),
        Claim(
            name="three_neurons_inner_weights",
            statement="gradient descent moves a1, a2, a3 alone: the largest movement of any other parameter",
            source="E & Wojtowytsch 2021, section 5.2, below (5.4)",
            predicted=lambda: 0.0,
            obtained=lambda: max(path.inner_movement for path in descent().values()),
            tolerance=0.0,
            relative=False,
        ),
    ]


def _limits(case: str) -> list[Claim]:
    found: list[tuple[str, str, str, Callable[[str], float]]] = [
        ("gap", "flow", "h(1) - h(-1) along the differential equation", _flow_gap),
        ("gap", "descent", "h(1) - h(-1) of the network under gradient descent", _descent_gap),
        ("exp_2a2_minus_a3", "flow", "exp(2 a2 - a3) along the differential equation", _flow_exponential),
    ]
    where = f"p = ({', '.join(f'{value:.3g}' for value in CASES[case])}), the largest of {len(STARTS)} starts"
    return [
        predicted_claim(
            f"three_neurons_{value}_{way}_{case}",
            f"limit of {quantity}: {where}",
            setting="three_neurons",
            value=value,
            problem=problem(case),
            obtained=partial(obtained, case),
            tolerance=TOLERANCE,
            relative=False,
        )
        for value, way, quantity, obtained in found
    ]


def _flow_gap(case: str) -> float:
    return max(float(flow(CASES[case], start).gap[-1]) for start in STARTS)


def _flow_exponential(case: str) -> float:
    return max(float(flow(CASES[case], start).exponential[-1]) for start in STARTS)


def _descent_gap(case: str) -> float:
    return float(descent()[case].gap[-1].max())


def _gap_range(case: str) -> float:
    gaps = [*(float(flow(CASES[case], start).gap[-1]) for start in STARTS), *descent()[case].gap[-1].tolist()]
    return max(gaps) - min(gaps)
