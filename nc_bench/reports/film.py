"""Frames as files: a GIF by Pillow, and an MP4 where ffmpeg is installed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nc_bench.text import plain

Frame = NDArray[np.uint8]

LARGEST_GIF = 1_000_000

ENCODER_SECONDS = 120


def gif(frames: Sequence[Frame], frames_a_second: float, colours: NDArray[np.uint8]) -> bytes:
    """Frames (height, width, 3) as a GIF in at most 255 colours (n, 3) that starts again at its end.

    A frame holds what differs from the one before; all have the same colours, so that nothing flickers.
    """
    clear = len(colours)
    table = np.concatenate([colours, np.repeat(colours[:1], 256 - clear, axis=0)])
    palette = Image.new("P", (1, 1))
    palette.putpalette(table.tobytes())
    found = [np.asarray(Image.fromarray(f).quantize(palette=palette, dither=Image.Dither.NONE)) for f in frames]
    found = [np.where(frame < clear, frame, 0).astype(np.uint8) for frame in found]
    changes = [np.where(now == before, clear, now).astype(np.uint8) for before, now in pairwise(found)]
    pictures = [Image.fromarray(indices) for indices in (found[0], *changes)]
    for picture in pictures:
        picture.putpalette(table.tobytes())
    content = BytesIO()
    pictures[0].save(
        content,
        "GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=round(1000 / frames_a_second),
        loop=0,
        transparency=clear,
        disposal=1,  # what is clear shows the frame before
        optimize=False,
    )
    return content.getvalue()


def write_mp4(path: Path, frames: Sequence[Frame], frames_a_second: float) -> str:
    """Write frames as H.264 in an MP4, which every browser plays; "", or why it was left out, in one line."""
    program = shutil.which("ffmpeg")
    path.unlink(missing_ok=True)
    if program is None:
        return f"{path.name} is left out: ffmpeg is not installed"
    height, width, _ = frames[0].shape
    part = path.with_name(f".{path.name}")
    given = f"-f rawvideo -pix_fmt rgb24 -s {width}x{height} -r {frames_a_second:g} -i -".split()
    made = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-movflags", "+faststart", "-f", "mp4"]
    try:
        done = subprocess.run(
            [program, "-y", "-loglevel", "error", *given, *made, str(part.absolute())],
            input=b"".join(frame.tobytes() for frame in frames),
            capture_output=True,
            timeout=ENCODER_SECONDS,
            check=False,
        )
        if done.returncode == 0 and part.exists():
            part.replace(path)
            return ""
        said = plain(done.stderr.decode(errors="replace")) or f"exit status {done.returncode}"
    except (OSError, subprocess.TimeoutExpired) as error:
        said = plain(str(error))
    finally:
        part.unlink(missing_ok=True)
    return f"{path.name} is left out: ffmpeg failed ({said})"
