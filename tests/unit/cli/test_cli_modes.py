"""How answers look: each mode, columns that fit, chosen widths, and where answers go."""
import csv
import io
import os
import unicodedata
import shell_case


def columns(line):
    """Columns of a terminal that a line takes."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


class Modes(shell_case.ShellCase):
    def setUp(self):
        super().setUp()
        self.command("remember", "--key", "a", "--actor", "Ann", "--session", "s", "--time", "2023-05-08T13:56:00Z", "The key | hangs\non \"the\" hook")
        self.command("remember", "--key", "b", "--time", "2023-05-09", "東京 and back")

    def shown(self, mode, *words, **more):
        done = self.run_shell("--mode", mode, self.database, *words, **more)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.decode()

    def lines_of(self, *lines, code=0, environment=None, options=()):
        done = self.run_shell(*options, self.database, data="".join(line + "\n" for line in lines).encode(), environment=environment)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.errors = done.stderr.decode()
        return done.stdout.decode()

    def test_each_mode_shows_a_list_in_its_own_way(self):
        golden = {
            "table": "id  key  time              actor  text\n"
                     " 1  a    8 May 2023 13:56  Ann    The key | hangs on \"the\" hook\n"
                     " 2  b    9 May 2023 00:00         東京 and back\n",
            "box": "┌────┬─────┬──────────────────┬───────┬───────────────────────────────┐\n"
                   "│ id │ key │ time             │ actor │ text                          │\n"
                   "├────┼─────┼──────────────────┼───────┼───────────────────────────────┤\n"
                   "│  1 │ a   │ 8 May 2023 13:56 │ Ann   │ The key | hangs on \"the\" hook │\n"
                   "│  2 │ b   │ 9 May 2023 00:00 │       │ 東京 and back                 │\n"
                   "└────┴─────┴──────────────────┴───────┴───────────────────────────────┘\n",
            "line": "   id = 1\n  key = a\n time = 8 May 2023 13:56\nactor = Ann\n text = The key | hangs on \"the\" hook\n\n"
                    "   id = 2\n  key = b\n time = 9 May 2023 00:00\nactor = \n text = 東京 and back\n",
            "csv": "id,key,time,actor,session,text\n1,a,2023-05-08T13:56:00Z,Ann,s,\"The key | hangs\non \"\"the\"\" hook\"\n2,b,2023-05-09T00:00:00Z,,,東京 and back\n",
            "markdown": "| id | key | time | actor | text |\n|--:|---|---|---|---|\n"
                        "| 1 | a | 8 May 2023 13:56 | Ann | The key \\| hangs on \"the\" hook |\n| 2 | b | 9 May 2023 00:00 |  | 東京 and back |\n",
            "text": "id  key  time              who  text\n#1  a    8 May 2023 13:56  Ann  The key | hangs on \"the\" hook\n#2  b    9 May 2023 00:00       東京 and back\n",
        }
        for mode, text in golden.items():
            self.assertEqual(self.shown(mode, "list"), text, mode)
        self.assertEqual(self.shown("json", "list"), self.command("list", "--json"))

    def test_each_mode_shows_one_memory_and_figures(self):
        self.path("import.jsonl", "")
        golden = {
            "table": "figure    value\nimported      0\nchanged       0\nskipped       0\n",
            "box": "┌──────────┬───────┐\n│ figure   │ value │\n├──────────┼───────┤\n│ imported │     0 │\n│ changed  │     0 │\n│ skipped  │     0 │\n"
                   "└──────────┴───────┘\n",
            "line": "figure = imported\n value = 0\n\nfigure = changed\n value = 0\n\nfigure = skipped\n value = 0\n",
            "csv": "figure,value\nimported,0\nchanged,0\nskipped,0\n",
            "markdown": "| figure | value |\n|---|--:|\n| imported | 0 |\n| changed | 0 |\n| skipped | 0 |\n",
            "json": "{\"ok\":true,\"imported\":0,\"changed\":0,\"skipped\":0}\n",
            "text": "figure    value\nimported      0\nchanged       0\nskipped       0\n",
        }
        for mode, text in golden.items():
            self.assertEqual(self.shown(mode, "import", self.path("import.jsonl")), text, mode)
            self.assertIn("東京", self.shown(mode, "get", "b"))

    def test_rows_of_recall_say_why(self):
        rows = list(csv.DictReader(io.StringIO(self.shown("csv", "recall", "key", "--k", "1"))))
        self.assertEqual((rows[0]["id"], rows[0]["why"]), ("1", "words 100 %"))
        for i in range(30):
            self.command("remember", "key " + "and many more words " * i)
        rows = list(csv.DictReader(io.StringIO(self.shown("csv", "recall", "key", "--k", "40"))))
        self.assertTrue(any(float(row["score"]) < 0 for row in rows) and all(row["why"] for row in rows), rows)
        self.assertIn("space", self.shown("csv", "recall", "key", "--spaces", "main").splitlines()[0])
        self.assertIn("nothing found", self.shown("box", "recall", "zebra"))
        self.assertIn("no damage", self.shown("box", "verify"))

    def test_no_line_is_wider_than_the_screen(self):
        for i in range(12):
            self.command("remember", "wörd 東京👍🏽 " * 40 + "x" * 300, "--key", f"key-{'k' * i * 9}", "--session", "東京" * i, "--actor", "actor " * i)
        self.command("link", "1", "2", "leads to " * 20)
        for width in (40, 80, 133):
            for mode in ("text", "table", "box", "line"):
                for words in (("list",), ("spaces",), ("recall", "wörd"), ("recall", "wörd", "--spaces", "main"), ("trace", "5"), ("get", "9"),
                              ("neighbours", "1"), ("stats",)):
                    for line in self.shown(mode, *words, environment={"COLUMNS": str(width)}).splitlines():
                        self.assertLessEqual(columns(line), width, (mode, words, line))

    def test_widths_are_those_that_were_chosen(self):
        shown = self.lines_of(".mode box", ".width 4 2 0 0 5", ".list", ".width", ".list")
        self.assertIn("│    1 │ a  │ 8 May 2023 13:56 │ Ann   │ The … │\n", shown)
        self.assertIn("│  1 │ a   │", shown)

    def test_output_and_once_write_to_files(self):
        out, once = self.path("all.csv"), self.path("one file.md")
        shown = self.lines_of(".mode csv", f".output {out}", ".get a", ".export", f".once \"{once}\"", ".mode markdown", ".output", ".list --limit 1")
        with open(out, encoding="utf-8") as file:
            text = file.read()
        self.assertTrue(text.startswith("id,key"))
        self.assertIn("{\"id\":\"a\"", text)
        self.assertEqual(os.stat(out).st_mode & 0o777, 0o600)
        self.assertEqual(os.path.getsize(once), 0)          # the next answer said nothing
        self.assertEqual(shown.count("\n"), 3)
        shown = self.lines_of(f".once \"{once}\"", ".get a", ".get b")
        with open(once, encoding="utf-8") as file:
            self.assertIn("hook", file.read())
        self.assertNotIn("hook", shown)
        self.assertIn("東京", shown)
        self.lines_of(".output /dev/full", ".get a", ".output", code=1)
        self.assertIn("No space left", self.errors)
        self.lines_of(".once", ".output " + self.path("no/such"), ".output a b", code=1)

    def test_read_runs_a_file_and_names_the_line_that_failed(self):
        file = self.path("lines", "# a remark\n.mode csv\n\n.get nobody\n.get b\n")
        shown = self.lines_of(f".read {file}", code=1)
        self.assertIn("東京", shown)
        self.assertIn(f"that was line 4 of {file}", self.errors)
        self.lines_of(f".read {self.path('none')}", ".read", code=1)
        own = self.path("own")
        self.path("own", f".read {own}\n")
        self.lines_of(f".read {own}", code=1)
        self.assertIn("reads itself", self.errors)
        self.path("own", ".exit\n")
        self.assertEqual(self.lines_of(f".read {own}", ".get a"), "")

    def test_rc_is_read_by_the_prompt_alone(self):
        self.path(".memdbrc", ".mode csv\n")
        self.assertIn("id,key", self.lines_of(".list"))
        self.assertNotIn("id,key", self.lines_of(".list", options=("--no-rc",)))
        self.assertNotIn("id,key", self.command("list"))
        self.assertEqual(self.ask({"op": "get", "key": "b"})[0]["ok"], True)
        self.path(".memdbrc", ".mode nope\n.mode box\n")
        self.assertIn("┌", self.lines_of(".list"))
        self.assertIn("line 1 of", self.errors)

    def test_timer_prompt_and_mode_are_commands(self):
        self.assertEqual(self.lines_of(".mode", ".mode json", ".mode", ".timer on", ".prompt \"x> \"", ".timer off"), "text\njson\n")
        self.assertRegex(self.errors, r"(?m)^time: \d+\.\d ms\ntime: ")
        for line in (".mode nope", ".width a", ".width 1 1001", ".timer perhaps", ".prompt a b", ".exit now"):
            self.lines_of(line, code=1)
            self.assertIn(".help", self.errors)

    def test_explain_is_for_one_recall_or_for_all(self):
        for mode in ("text", "box"):
            shown = self.lines_of(f".mode {mode}", ".explain --k 1 key", "key", ".explain on", "key", ".explain off", "key")
            self.assertEqual(shown.count("weights:"), 2)
            self.assertEqual(shown.count("│ id" if mode == "box" else " 1. "), 4)
            for line in shown.splitlines():
                self.assertLessEqual(columns(line), 80, line)
        self.lines_of(".explain", code=1)

    def test_a_wrong_command_gets_the_nearest(self):
        for typed, meant in ((".recal", ".recall"), (".hlep", ".help"), (".neighbors", ".neighbours"), (".outptu", ".output")):
            self.lines_of(typed, code=1)
            self.assertIn(f"did you mean {meant}?", self.errors)
        self.lines_of(".xyzzy", code=1)
        self.assertNotIn("did you mean", self.errors)
        done = self.run_shell(self.database, "lsit")
        self.assertEqual((done.returncode, b"did you mean list?" in done.stderr), (2, True))


if __name__ == "__main__":
    shell_case.main()
