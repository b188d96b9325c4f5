"""python -m nc_bench.train --config FILE [--out DIR] [--resume] [dotted.key=value ...]"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from datetime import datetime
from pathlib import Path

from nc_bench.config import Config, ConfigError, config_hash, load_config

EXIT = {"complete": 0, "diverged": 3, "interrupted": 130}


def main(argv: list[str] | None = None) -> int:
    """Train one run and show what happened. Exit status: 0 complete, 1 memory or disk
    ran out, 2 refused, 3 diverged, 130 interrupted."""
    arguments = _parser().parse_intermixed_args(argv)
    try:
        config = load_config(arguments.config, arguments.overrides)
        directory = arguments.out or _default_directory(config, arguments.config.stem, arguments.resume)
        return _train(config, directory, arguments.resume)
    except ValueError as error:
        _say(str(error))
        return 2
    except OSError as error:
        _say(f"cannot write the run: {error}; what was whole is kept")
        return 1
    except (MemoryError, RuntimeError) as error:
        # Imported where it is needed, as in _train.
        from nc_bench.training.device import out_of_memory

        line = out_of_memory(error)
        if line is None:
            raise
        print(line, file=sys.stderr)
        return 1


def _train(config: Config, directory: Path, resume: bool) -> int:
    # torch takes a second to import: a wrong configuration is refused before that.
    from nc_bench.distributed import LostProcess
    from nc_bench.reports import present
    from nc_bench.training import run_training

    try:
        status = run_training(config, directory, resume=resume)
    except LostProcess as error:
        _say(f"{error}; --resume goes on from the last checkpoint")
        return 1
    if os.environ.get("RANK", "0") == "0":
        present(directory)
        if status == "interrupted":
            print(f"interrupted; go on with --resume --out {directory}")
    return EXIT[status]


def _say(line: str) -> None:
    """On the standard error; under torchrun once, though every process and every restart has the same to say."""
    place = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if place is not None:
        name = f"said-{hashlib.sha256(line.encode()).hexdigest()[:16]}"
        try:
            # The folder of all attempts: LOG/attempt_0/0/error.json.
            (Path(place).parents[2] / name).touch(exist_ok=False)
        except FileExistsError:
            return
        except OSError:
            pass  # Said once too often is better than not at all.
    print(line, file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nc_bench.train",
        description="Train one run, record its neural-collapse metrics, and hold them against theory.",
    )
    parser.add_argument("--config", type=Path, required=True, help="YAML file, see configs/ and `nc-bench schema`")
    parser.add_argument("--out", type=Path, help="run directory (default: results/runs/<config name>/<time>)")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run in --out, or with the newest of this configuration",
    )
    parser.add_argument("overrides", nargs="*", metavar="dotted.key=value", help="for example optimizer.lr=0.1")
    return parser


def _default_directory(config: Config, name: str, resume: bool) -> Path:
    """A new directory named by the time; to resume, the newest one of the same configuration if there is one."""
    folder = Path("results") / "runs" / name
    if resume:
        for path in sorted(folder.glob("*/config.yaml"), reverse=True):
            try:
                if config_hash(load_config(path)) == config_hash(config):
                    return path.parent
            except ConfigError:
                continue
    return folder / datetime.now().strftime("%Y-%m-%d-%H%M%S.%f")


if __name__ == "__main__":
    sys.exit(main())
