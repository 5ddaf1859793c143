#!/usr/bin/env python3
"""processes.py, which lives beside the checkout, with one wait added.

usage: run_processes.py FOLDER_OF_CHECKS MEMDB [options of processes.py]
A process that gets SIGKILL closes its pipes some milliseconds before it can be waited for (up to 50 ms were measured on a
busy machine). The check asks for the exit code as soon as a write fails, finds none in that time, and calls it a hang.
So: after a failed write wait for the process, at most 30 seconds. A shell that really hangs, or that ended by itself, is
found as before.
"""
import pathlib
import subprocess
import sys

folder = pathlib.Path(sys.argv.pop(1))
if not (folder / "processes.py").is_file():
    sys.exit(f"{folder}/processes.py is not there")
sys.path.insert(0, str(folder))

import memdb_session  # noqa: E402
import processes  # noqa: E402

plain_send = memdb_session.Session.send


def send(self, *arguments, **fields):
    try:
        plain_send(self, *arguments, **fields)
    except memdb_session.Died:
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            pass
        raise


memdb_session.Session.send = send
sys.exit(processes.main())
