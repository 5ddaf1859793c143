"""Transactions over JSON lines, durability, and the ends of a session. Method: conversations with one shell or two."""
import json
import os
import subprocess
import shell_case


class Session:
    """A shell that is spoken to line by line."""
    def __init__(self, case, *options):
        self.process = subprocess.Popen([shell_case.MEMDB, "--json", "--durability", "os", *options, case.database], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def ask(self, op, **fields):
        self.process.stdin.write(json.dumps({"op": op, **fields}).encode() + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors.decode()


class Transactions(shell_case.ShellCase):
    def test_transaction_sees_its_own_writes_and_commit_names_the_puts(self):
        answers = self.ask({"op": "begin"}, {"op": "put", "key": "a", "text": "one"}, {"op": "put", "key": "b", "text": "two"}, {"op": "get", "key": "b"},
                           {"op": "list"}, {"op": "commit", "durability": "full"}, {"op": "get", "key": "a"})
        self.assertEqual(answers[3]["memory"]["text"], "two")
        self.assertEqual(len(answers[4]["memories"]), 2)
        self.assertEqual(answers[5]["ids"], [answers[1]["id"], answers[2]["id"]])
        self.assertGreater(answers[5]["lsn"], 0)
        self.assertTrue(answers[6]["ok"])

    def test_abort_leaves_nothing(self):
        answers = self.ask({"op": "begin"}, {"op": "put", "space": "far", "key": "a", "text": "one"}, {"op": "abort"}, {"op": "get", "space": "far", "key": "a"}, {"op": "spaces"})
        self.refused(answers[3], "MEMDB_NOT_FOUND")
        self.assertEqual(answers[4]["spaces"], [])

    def test_refused_put_leaves_the_transaction_as_it_was(self):
        answers = self.ask({"op": "begin"}, {"op": "put", "key": "a", "text": "one"}, {"op": "put", "key": "b", "text": "two", "links": [{"to": "nobody"}]},
                           {"op": "put", "key": "c", "text": 3}, {"op": "commit"}, {"op": "list"})
        self.refused(answers[2], "MEMDB_NOT_FOUND", "nobody")
        self.refused(answers[3], "MEMDB_INVALID")
        self.assertEqual([m["key"] for m in answers[5]["memories"]], ["a"])

    def test_misplaced_begin_commit_and_durability_are_invalid(self):
        answers = self.ask({"op": "commit"}, {"op": "abort"}, {"op": "begin"}, {"op": "begin"}, {"op": "put", "text": "x", "durability": "os"}, {"op": "abort"})
        for number in (0, 1, 3, 4):
            self.refused(answers[number], "MEMDB_INVALID")
        self.assertTrue(answers[2]["ok"] and answers[5]["ok"])

    def test_snapshot_reads_one_moment_and_refuses_writes(self):
        first, second = Session(self), Session(self)
        first.ask("put", key="a", text="old")
        self.assertTrue(second.ask("begin", snapshot=True)["ok"])
        first.ask("put", key="a", text="new")
        self.assertEqual(second.ask("get", key="a")["memory"]["text"], "old")
        self.refused(second.ask("put", key="b", text="x"), "MEMDB_READ_ONLY")
        self.assertTrue(second.ask("commit")["ok"])
        self.assertEqual(second.ask("get", key="a")["memory"]["text"], "new")
        first.close()
        second.close()

    def test_second_committer_of_a_change_conflicts(self):
        first, second = Session(self), Session(self)
        first.ask("put", key="n", text="1")
        for session in (first, second):
            session.ask("begin")
            session.ask("get", key="n")
            self.assertTrue(session.ask("put", key="n", text="2")["ok"])
        self.assertTrue(first.ask("commit")["ok"])
        self.refused(second.ask("commit"), "MEMDB_CONFLICT")
        self.assertTrue(second.ask("put", key="n", text="3")["ok"])
        first.close()
        second.close()

    def test_end_of_input_aborts_an_open_transaction_with_a_warning(self):
        session = Session(self)
        session.ask("begin")
        session.ask("put", key="a", text="x")
        code, errors = session.close()
        self.assertEqual(code, 0)
        self.assertIn("abort", errors)
        self.refused(self.ask({"op": "get", "key": "a"})[0], "MEMDB_NOT_FOUND")

    def test_closed_output_ends_the_shell_quietly(self):
        process = subprocess.Popen([shell_case.MEMDB, "--json", self.database], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.close()
        try:
            process.stdin.write(b'{"op":"spaces"}\n' * 1000)
            process.stdin.close()
        except BrokenPipeError:
            pass
        self.assertIn(process.wait(60), (0, 1))
        process.stderr.close()

    def test_opening_what_is_no_database_names_the_status(self):
        os.mkdir(self.database)
        with open(os.path.join(self.database, "letter.txt"), "w", encoding="utf-8") as file:
            file.write("not a database")
        done = self.run_shell("--json", self.database)
        self.assertEqual((done.returncode, done.stdout), (1, b""))
        self.assertIn(b"MEMDB_NOT_DATABASE", done.stderr)
        done = self.run_shell("--json", self.database, data=b'{"op":"get","key":"a","re":1}\n{"op":"nix"}\n')
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(done.returncode, 1)
        self.refused(answers[0], "MEMDB_NOT_DATABASE")
        self.refused(answers[1], "MEMDB_INVALID", "nix")
        self.assertEqual(answers[0]["re"], 1)

    def test_read_only_session_reads_and_refuses_writes(self):
        self.ask({"op": "put", "key": "a", "text": "x"})
        answers = self.ask({"op": "get", "key": "a"}, {"op": "put", "key": "b", "text": "y"}, options=("--read-only",))
        self.assertTrue(answers[0]["ok"])
        self.refused(answers[1], "MEMDB_READ_ONLY")


if __name__ == "__main__":
    shell_case.main()
