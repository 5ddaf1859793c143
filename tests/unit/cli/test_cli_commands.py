"""One-shot commands and the prompt: what people see, exit codes, and what creates a database."""
import json
import os
import pty
import shell_case


class Commands(shell_case.ShellCase):
    def test_usage_errors_exit_with_two_and_create_nothing(self):
        for words in ((), ("--nope", "x"), ("--durability", "some", "x"), (self.database, "frobnicate"), (self.database, "get"), (self.database, "get", "1", "2"),
                      (self.database, "remember"), (self.database, "recall", "x", "--k", "many"), (self.database, "recall", "x", "--nope", "1"), (self.database, "link", "1")):
            done = self.run_shell(*words)
            self.assertEqual(done.returncode, 2, words)
            self.assertTrue(done.stderr and not done.stdout, words)
        self.assertFalse(os.path.exists(self.database))

    def test_help_and_version_go_to_standard_output(self):
        for words, text in ((("--help",), b"usage: memdb"), (("--version",), b"memdb "), (("--help", "recall"), b"--weights"), ((self.database, "import", "--help"), b"--vectors")):
            done = self.run_shell(*words)
            self.assertEqual(done.returncode, 0)
            self.assertIn(text, done.stdout)

    def test_reading_commands_do_not_create_a_database(self):
        for words in (("recall", "x"), ("get", "1"), ("stats",), ("verify",), ("spaces",), ("export",), ("checkpoint",)):
            done = self.run_shell(self.database, *words)
            self.assertEqual(done.returncode, 1, words)
            self.assertIn(b"MEMDB_NOT_FOUND", done.stderr)
            self.assertFalse(os.path.exists(self.database), words)

    def test_remember_and_recall_show_who_when_and_why(self):
        self.assertIn("remembered", self.command("remember", "the spare key is", "under the blue pot", "--key", "spare", "--actor", "Ann", "--session", "may",
                                                 "--time", "2023-05-08T13:56:00Z"))
        found = self.command("recall", "where is the spare key?")
        for text in ("Ann", "8 May 2023 13:56", "may", "the spare key is under the blue pot", "words", "%"):
            self.assertIn(text, found)
        self.assertNotIn("\x1b", found)
        self.assertIn("under the blue pot", self.command("get", "spare"))

    def test_json_answers_of_commands_are_the_requests_own(self):
        id_of = json.loads(self.command("remember", "hello", "--json"))["id"]
        self.assertEqual(json.loads(self.command("get", f"#{id_of}", "--json"))["memory"]["text"], "hello")
        done = self.run_shell("--json", self.database, "get", "nobody")
        self.assertEqual((done.returncode, json.loads(done.stdout)["code"]), (1, "MEMDB_NOT_FOUND"))

    def test_control_characters_of_a_text_are_not_obeyed(self):
        self.command("remember", "red \x1b[31malert\x07 bell", "--key", "a")
        for words in (("get", "a"), ("recall", "alert"), ("list",), ("trace", "a")):
            shown = self.command(*words)
            self.assertNotIn("\x1b", shown)
            self.assertNotIn("\x07", shown)

    def test_tables_fit_the_terminal(self):
        for i in range(3):
            self.command("remember", "word " * 60, "--key", f"k{i}", "--session", "s", "--actor", "東京" * 3)
        for words in (("list",), ("spaces",), ("recall", "word"), ("trace", "k1")):
            for line in self.command(*words, environment={"COLUMNS": "60"}).splitlines():
                self.assertLessEqual(len(line) + sum("\u2e80" < c for c in line), 62, line)

    def test_links_trace_and_figures_are_shown(self):
        self.command("remember", "one", "--key", "a", "--session", "s", "--time", "2023-01-01")
        self.command("remember", "two", "--key", "b", "--session", "s", "--time", "2023-01-02")
        self.command("link", "a", "b", "next")
        self.assertIn("next", self.command("neighbours", "a"))
        self.assertIn("> ", self.command("trace", "b"))
        self.assertIn("memories", self.command("stats"))
        self.assertIn("no damage", self.command("verify"))
        self.command("checkpoint")
        self.command("backup", self.path("copy"))
        self.assertIn("2", self.command("unlink", "a", "b", "next") + self.command("spaces"))
        self.command("forget", "a", "--erase")
        self.command("get", "a", code=1)
        self.assertIn("MiB after", self.command("compact"))
        self.assertIn("1 forgotten with erase", self.command("purge"))

    def test_prompt_without_a_terminal_reads_lines_and_says_nothing_of_its_own(self):
        lines = "+ don't forget \"the milk\"\n\n.remember --key tea --actor Ann I don't like -- tea\nmilk?\n.get tea\n.spaces\n.help recall\n.exit\nnever read\n"
        done = self.run_shell(self.database, data=lines.encode())
        self.assertEqual(done.returncode, 0, done.stderr)
        out = done.stdout.decode()
        for text in ("don't forget \"the milk\"", "I don't like -- tea", "Ann", "main", "--weights"):
            self.assertIn(text, out)
        for text in ("memdb> ", "Ask in plain words", "never read"):
            self.assertNotIn(text, out)

    def test_prompt_on_a_terminal_greets_colours_and_keeps_history(self):
        for no_color, marked in (("", True), ("1", False)):
            child, terminal = pty.fork()
            if not child:
                os.environ.update(HOME=self.root, TERM="xterm", NO_COLOR=no_color)
                shell_case.forgive_editor()
                os.execv(shell_case.MEMDB, [shell_case.MEMDB, self.database])
            os.write(terminal, b"+ the lantern is lit\nlantern?\n.exit\n")
            shown = b""
            try:
                while piece := os.read(terminal, 65536):
                    shown += piece
            except OSError:
                pass                                        # the other end of a terminal is gone
            os.close(terminal)
            self.assertEqual(os.waitpid(child, 0)[1], 0)
            self.assertIn(b"begins with \"+ \" is remembered", shown)
            self.assertEqual(b"\x1b[1mlantern" in shown, marked, shown)
        history = os.path.join(self.root, ".local/state/memdb/history")
        self.assertEqual(os.stat(history).st_mode & 0o777, 0o600)
        with open(history, encoding="utf-8") as file:
            self.assertIn("lantern", file.read())

    def test_prompt_ends_with_one_when_a_line_failed(self):
        done = self.run_shell(self.database, data=b".nope\n.get nobody\n+ fine\n")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"remembered", done.stdout)
        self.assertIn(b".help", done.stderr)

    def test_text_that_is_not_utf8_is_refused(self):
        done = self.run_shell(self.database, b"remember", b"\xff\xfe")
        self.assertEqual(done.returncode, 2)
        done = self.run_shell(self.database, data=b"+ \xff\xfe\n")
        self.assertEqual(done.returncode, 1)

    def test_a_large_text_comes_from_standard_input(self):
        words = " ".join(f"word{i}" for i in range(150000))[:1000000].rstrip()
        self.command("remember", "--key", "big", "-", data=words.encode())
        memory = json.loads(self.command("get", "big", "--json"))["memory"]
        self.assertEqual(memory["text"], words)
        self.assertIn("big", self.command("recall", "word149", "--mode", "words"))
        self.command("remember", "-", data=b"\xff\xfe", code=1)

    def test_verify_tells_of_files_that_nothing_names(self):
        self.command("remember", "one")
        with open(os.path.join(self.database, "segments", "00000000000000aa.seg"), "wb") as file:
            file.write(b"?" * 100)
        answer = json.loads(self.command("verify", "--threads", "2", "--json"))
        self.assertEqual(answer["garbage"], [{"file": "segments/00000000000000aa.seg", "bytes": 100}])
        self.assertIn("1 files that nothing names, 100 bytes: no damage", self.command("verify"))

    def test_salvage_says_by_its_exit_code_whether_something_is_lost(self):
        self.command("remember", "--key", "made", "makes the space")
        self.command("remember", "--key", "a", "the first")
        self.command("remember", "--key", "b", "the second")
        whole, rest = os.path.join(self.root, "whole"), os.path.join(self.root, "rest")
        self.assertEqual(self.run_shell("salvage", self.database, whole).returncode, 0)
        self.assertIn("the second", self.run_shell(whole, "get", "b").stdout.decode())
        log = os.path.join(self.database, "log")
        for name in os.listdir(log):
            with open(os.path.join(log, name), "r+b") as file:
                at = file.read(1 << 20).find(b"the first")
                if at >= 0:
                    file.seek(at)
                    file.write(b"?" * 9)
        done = self.run_shell("salvage", self.database, rest)
        self.assertEqual(done.returncode, 1)
        self.assertIn("commits", done.stdout.decode())
        self.assertIn("the second", self.run_shell(rest, "get", "b").stdout.decode())
        self.assertEqual(self.run_shell(rest, "get", "a").returncode, 1)
        self.assertEqual(self.run_shell("salvage", self.database).returncode, 2)
        answer = json.loads(self.run_shell("--json", "salvage", self.database, rest + "2").stdout)
        self.assertTrue(answer["ok"])
        self.assertTrue(answer["losses"])


if __name__ == "__main__":
    shell_case.main()
