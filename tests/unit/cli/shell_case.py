"""What the tests of the shell share: a temporary database a test, JSON requests, and one-shot commands.

Each test file is a program: NAME.py MEMDB [unittest arguments].
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

MEMDB = "memdb"


class ShellCase(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="memdb-cli-")
        self.addCleanup(shutil.rmtree, self.root, ignore_errors=True)
        self.database = os.path.join(self.root, "db")

    def path(self, name, content=None):
        """A file of the test; with content (text or bytes) it is written."""
        path = os.path.join(self.root, name)
        if content is not None:
            with open(path, "wb") as file:
                file.write(content if isinstance(content, bytes) else content.encode())
        return path

    def run_shell(self, *words, data=b"", environment=None):
        done = subprocess.run([MEMDB, *words], input=data, capture_output=True, check=False, timeout=120,
                              env={**os.environ, "HOME": self.root, **(environment or {})})
        self.assertGreaterEqual(done.returncode, 0, f"killed by a signal: {done.stderr[-500:]!r}")
        return done

    def lines(self, *raw, options=()):
        """Send raw lines (bytes); the answers, one a line."""
        done = self.run_shell("--json", "--durability", "os", *options, self.database,
                              data=b"".join(line + b"\n" for line in raw))
        self.assertEqual(done.returncode, 0, done.stderr)
        answers = done.stdout.split(b"\n")
        self.assertEqual(answers.pop(), b"")
        self.assertEqual(len(answers), len(raw))
        self.errors = done.stderr.decode()
        return [json.loads(answer) for answer in answers]

    def ask(self, *requests, options=()):
        return self.lines(*(json.dumps(request).encode() for request in requests), options=options)

    def refused(self, answer, code, *words):
        self.assertIs(answer["ok"], False, answer)
        self.assertEqual(answer["code"], code, answer)
        for word in words:
            self.assertIn(word, answer["message"])

    def command(self, *words, code=0, **more):
        done = self.run_shell(self.database, *words, **more)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout.decode()


def forgive_editor():
    """For a shell on a terminal: libedit copies the names of functions that it is given, and never frees the copies."""
    os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"


def main():
    global MEMDB
    if len(sys.argv) < 2:
        sys.exit("usage: test_cli_NAME.py MEMDB [unittest arguments]")
    MEMDB = os.path.abspath(sys.argv.pop(1))
    unittest.main(module="__main__")
