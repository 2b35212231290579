"""Look for bytes that break one parser, guided by coverage: `python tests/fuzz/run_atheris.py NAME FOLDER SECONDS`.

FOLDER holds the corpus, grows by what reaches new code, and gets `crash-*` when something breaks; the exit code is then
not zero. A process of its own for each parser, because libFuzzer never returns.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["bodega"]):
    sys.path.insert(0, str(Path(__file__).parent))
    import targets


def main() -> None:
    name, folder, seconds = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    if name == "planted":
        run, seeds = targets.planted, (b"[1]",)
    else:
        run, seeds = targets.TARGETS[name].run, targets.seeds_of(name)
    for number, seed in enumerate(seeds):
        (folder / f"seed-{number}").write_bytes(seed)
    flags = [
        f"-max_total_time={seconds}",
        f"-artifact_prefix={folder}/",
        "-max_len=4096",
        "-timeout=20",
        "-rss_limit_mb=3000",
    ]
    atheris.Setup([sys.argv[0], *flags, "-print_final_stats=1", "-seed=7", str(folder)], run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
