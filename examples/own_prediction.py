"""A prediction of one's own, compared with a run: python examples/own_prediction.py [DIRECTORY]

With features in two dimensions ten classes cannot form a simplex. The guess: a regular polygon, features of length R,
and rows of W along them. W has spectral norm 1, so its rows have length sqrt(2/K), and the risk follows in one line.
"""

import math
import sys

import nc_bench

K, RADIUS = 10, 5.0


def polygon_risk(classes: int, radius: float) -> float:
    """Cross entropy of regular polygons: log sum_j exp(R r (cos(2 pi j/K) - 1)), r = sqrt(2/K)."""
    scale = radius * math.sqrt(2 / classes)
    return math.log(sum(math.exp(scale * (math.cos(2 * math.pi * j / classes) - 1)) for j in range(classes)))


def main(directory: str, epochs: int = 20) -> None:
    changes = {"model.widths": [64, 64, 2], "training.epochs": epochs, "optimizer.lr": 0.1, "device": "cpu"}
    run = nc_bench.run_training("digits_ball", directory, **changes)
    train = run.rows.query("split == 'train'")
    first, last = train.iloc[0], train.iloc[-1]

    guess = polygon_risk(K, RADIUS)
    shown = nc_bench.predict("penultimate_ball", classes=K, radius=RADIUS, width=2)
    share = (last["risk"] - guess) / (math.log(K) - guess)
    print(f"risk: my prediction {guess:.4f}, nc_bench's {shown.values['risk']:.4f}")
    print(f"      after one epoch {first['risk']:.4f}; equal outputs {math.log(K):.4f}")
    print(f"      after {epochs} epochs {last['risk']:.4f}: {share:+.1%} of the way back to equal outputs")
    print(f"above what any network can reach: {'yes' if last['risk'] >= guess else 'no: the guess is no minimum'}")
    print(run)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "results/runs/polygon")
