"""Fill the tables of the readme from `docs/results`, from what is measured: `python benchmarks/readme.py`.

`--from out` takes what the benchmarks named in NAMES have just measured into `docs/results` first.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
from pathlib import Path

import arithmetic
import camera
import cast
import gate
import quality
from common import markdown

from motion_studio.errors import InputError
from motion_studio.settings import preset_names

ROOT = Path(__file__).resolve().parents[1]
README, RESULTS = ROOT / "README.md", ROOT / "docs/results"
NAMES = ("gate", "quality", "arithmetic", "camera", "cast")
KEPT = [f"{name}/{name}.json" for name in NAMES]
KEPT += ["gate/gate.webp", "quality/quality.webp", "arithmetic/strength.png"]
KEPT += ["camera/camera.webp", "cast/cast.webp"]
"""What the benchmarks write that the project keeps."""
LEFT_OUT = ("colour leak", "learning s", "making s")
"""Columns of quality.py that the readme has no room for."""
AIMS = [
    "*aim*",
    ".95",
    ".80",
    ".90 (*pure* .80)",
    "–",
    ".8–1.2",
    ".8–1.2",
    "90%",
    "90%",
    "5%",
    "*pure* .15",
    "–",
]
MIXES = ("A +", "A -", "A /", "-A")
"""How the names of mixes begin."""


def tables(results: dict[str, dict]) -> dict[str, str]:
    """Return each table of the readme by its name, of the results of the benchmarks by theirs."""
    rows = {name: found["rows"] for name, found in results.items()}
    conditions = dict.fromkeys(row["condition"] for row in rows["quality"])
    presets = [name for name in conditions if name in preset_names()]
    kinds: dict[str, list[dict]] = {"operations": [], "mixes": [], "strengths": []}
    for row in rows["arithmetic"]:
        mixed = "mixes" if row["operation"].startswith(MIXES) else "operations"
        kinds["strengths" if "strength" in row else mixed].append(row)
    return {
        "gate": gate.table(rows["gate"]),
        "quality": with_aims(quality.table(rows["quality"])),
        "camera": camera.table(rows["camera"]),
        "cast": cast.table(rows["cast"]),
        "pose": quality.by_pose(rows["quality"], presets),
        "kinds": quality.by_kind(rows["quality"], presets),
        **{name: arithmetic.table(mine) for name, mine in kinds.items()},
    }


def with_aims(table: str) -> str:
    """Return the table of quality.py without the columns that are left out, the aims on top."""
    header, _, *lines = ([cell.strip() for cell in line[1:-1].split("|")] for line in table.splitlines())
    kept = [k for k, name in enumerate(header) if name not in LEFT_OUT]
    header, *lines = ([cells[k] for k in kept] for cells in (header, *lines))
    return markdown(header, [AIMS, *lines])


def filled(text: str, found: dict[str, str]) -> str:
    """Return the text with the table after each comment `<!-- NAME -->` replaced by the one of that name.

    Raises InputError where a name has no such place.
    """
    for name, table in found.items():
        place = re.compile(rf"(<!-- {name} -->\n\n)(?:\|.*\n)+")
        text, times = place.subn(lambda match, table=table: match[1] + table + "\n", text)
        if times != 1:
            raise InputError(f"The readme has {times} tables after <!-- {name} -->, not 1.")
    return text


def read(folder: Path) -> dict[str, dict]:
    """Return the results of the benchmarks by their names."""
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in NAMES}


def main() -> None:
    """Take new results in if asked for, and fill the readme."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--from", dest="measured", type=Path, help="folder that the benchmarks wrote to")
    args = parser.parse_args()
    wanted = [args.measured / file for file in KEPT] if args.measured else []
    if missing := [str(file) for file in wanted if not file.is_file()]:
        parser.error(f"not there, so nothing is taken: {', '.join(missing)}; run {', '.join(NAMES)} first")
    for file in wanted:
        shutil.copy(file, RESULTS)
    README.write_text(filled(README.read_text(), tables(read(RESULTS))))


if __name__ == "__main__":
    main()
