#!/usr/bin/env python3
"""Runs the black-box checks that live beside the checkout (../shared/checks) and holds search quality to floors.

usage: run_checks.py MEMDB [--long]
Where the checks or the data are absent, it says so and counts them as skipped. The last line is
"checks: N passed, N failed, N skipped"; the exit code is 1 when one failed.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import time

SHARED = pathlib.Path(__file__).resolve().parents[3] / "shared"

# Floors: (set, with vectors) -> recall@10, nDCG@10. They lie a little below what was measured, so that a loss is seen
# and a tie that falls the other way is not.
FLOORS = {
    ("locomo", False): (0.72, 0.54),
    ("locomo", True): (0.74, 0.56),
    ("realtalk", True): (0.59, 0.475),
    ("limit_small", False): (0.99, 0.985),
    ("scifact", True): (0.85, 0.73),
}
LONG_FLOORS = {
    ("hotpotqa100", True): (0.89, 0.82),
    ("musique100", True): (0.66, 0.64),
    ("memdaily_zh", False): (0.96, 0.895),
}


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def say(self, verdict, name, detail):
        setattr(self, verdict, getattr(self, verdict) + 1)
        print(f"{verdict:8}{name}: {detail}", flush=True)


def run(tally, name, script, arguments):
    """One check that says by its exit code whether all holds."""
    command = [sys.executable, "-B", *map(str, arguments)]
    if not script.is_file():
        return tally.say("skipped", name, f"{script} is not there")
    started = time.time()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).strip().splitlines() or ["no output"]
    verdict = "failed" if done.returncode else "passed"
    if done.returncode:
        print("\n".join(lines[-12:-1]))
    return tally.say(verdict, name, f"{lines[-1]} ({time.time() - started:.0f} s)")


def quality(tally, memdb, floors):
    script = SHARED / "checks/recall.py"
    for (name, vectors), (recall, gain) in floors.items():
        title, folder = f"recall {name}{' with vectors' if vectors else ''}", SHARED / "data" / name
        if not script.is_file() or not folder.is_dir():
            tally.say("skipped", title, f"{folder if script.is_file() else script} is not there")
            continue
        command = [sys.executable, "-B", str(script), memdb, str(folder), "--json"] + ["--vectors"] * vectors
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        try:
            found = json.loads(done.stdout.splitlines()[-1])
        except (IndexError, ValueError):
            tally.say("failed", title, (done.stdout + done.stderr).strip()[-600:] or f"exit code {done.returncode}")
            continue
        holds = found["recall@10"] >= recall and found["nDCG@10"] >= gain and found["exit"] == 0 == done.returncode
        tally.say("passed" if holds else "failed", title,
                  f"recall@10 {found['recall@10']} (floor {recall}), nDCG@10 {found['nDCG@10']} (floor {gain}), "
                  f"{found['ms_per_query']} ms a question")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("memdb", type=pathlib.Path)
    parser.add_argument("--long", action="store_true")
    options = parser.parse_args()
    tally, checks = Tally(), SHARED / "checks"
    memdb = str(options.memdb.resolve())
    if not options.memdb.is_file():
        tally.say("failed", "the shell", f"{memdb} is not there")
    else:
        seconds, rounds = ("120", "400") if options.long else ("20", "60")
        run(tally, "several processes, killed at random", checks / "processes.py",
            [checks / "processes.py", memdb, "--processes", 4, "--seconds", seconds])
        run(tally, "one damage a round", checks / "damage.py", [checks / "damage.py", memdb, "--rounds", rounds])
        quality(tally, memdb, {**FLOORS, **(LONG_FLOORS if options.long else {})})
    print(f"checks: {tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
