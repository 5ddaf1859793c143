"""The prompt on a terminal: a pseudo-terminal stands in for a person's."""
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
import shell_case

PROMPT = "memdb> "


class Terminal:
    """The shell on a terminal of its own. What it shows is gathered in `shown`."""

    def __init__(self, case, *words, columns=80, environment=None):
        self.child, self.fd = pty.fork()
        if not self.child:
            os.chdir(case.root)
            os.environ.update({"HOME": case.root, "TERM": "xterm", "NO_COLOR": "1"})
            os.environ.pop("XDG_STATE_HOME", None)
            shell_case.forgive_editor()
            os.environ.update(environment or {})
            os.execv(shell_case.MEMDB, [shell_case.MEMDB, *words, case.database])
        self.shown, self.seen = "", 0
        self.resize(columns)

    def resize(self, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def send(self, text):
        os.write(self.fd, text.encode())

    def read(self):
        """One more piece; False when the shell has gone."""
        try:
            piece = os.read(self.fd, 65536)
        except OSError:
            return False
        self.shown += piece.decode(errors="replace")
        return bool(piece)

    def wait_for(self, text, seconds=60):
        """Read on until `text` comes; what stands before it, since the last time."""
        until = time.monotonic() + seconds
        while (at := self.shown.find(text, self.seen)) < 0:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0] or not self.read():
                raise AssertionError(f"waited for {text!r}, got {self.shown[self.seen:]!r}")
        before = self.shown[self.seen:at]
        self.seen = at + len(text)
        return before

    def ask(self, line):
        """A line, and what is shown up to the next prompt."""
        self.send(line + "\r")
        self.wait_for("\n")
        return self.wait_for(PROMPT)

    def drop(self):
        """Ctrl-C at the prompt."""
        for _ in range(60):
            self.send("\x03")
            try:
                self.wait_for("^C\r\n", 1)
                break
            except AssertionError:                           # it came before the editor was ready
                os.kill(self.child, 0)
        self.wait_for(PROMPT)

    def end(self, line=".exit\r"):
        self.send(line)
        while self.read():
            pass
        os.close(self.fd)
        status = os.waitpid(self.child, 0)[1]
        return os.waitstatus_to_exitcode(status)


class OnATerminal(shell_case.ShellCase):
    def start(self, *words, **more):
        terminal = Terminal(self, *words, **more)
        terminal.wait_for(PROMPT)
        return terminal

    def test_a_sentence_is_recalled_and_a_plus_remembers(self):
        shell = self.start(environment={"NO_COLOR": "1"})
        self.assertIn("remembered as #1", shell.ask("+ the lantern hangs by the door"))
        shown = shell.ask("where is the lantern?")
        self.assertIn("the lantern hangs by the door", shown)
        self.assertIn("words 100 %", shown)
        self.assertNotIn("\x1b[1m", shown)
        self.assertEqual(shell.end(), 0)

    def test_colour_is_for_terminals_without_no_color(self):
        for environment, coloured in (({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb", "NO_COLOR": ""}, False)):
            shell = self.start(environment=environment)
            shell.ask("+ the lantern hangs by the door")
            self.assertEqual("\x1b[1mlantern" in shell.ask("lantern?"), coloured, environment)
            self.assertEqual(shell.end(), 0)
        done = self.run_shell(self.database, data=b"lantern?\n")
        self.assertNotIn(b"\x1b", done.stdout)

    def test_history_comes_back_in_the_next_shell_and_is_private(self):
        shell = self.start()
        shell.ask("+ kept for later")
        self.assertEqual(shell.end(), 0)
        history = os.path.join(self.root, ".local/state/memdb/history")
        self.assertEqual(os.stat(history).st_mode & 0o777, 0o600)
        shell = self.start()
        shell.send("\x1b[A\x1b[A")                           # .exit, then the line before it
        shell.wait_for("+ kept for later")
        shell.send("\r")
        self.assertIn("remembered as #2", shell.wait_for(PROMPT))
        self.assertEqual(shell.end(), 0)
        state = os.path.join(self.root, "state")
        shell = self.start(environment={"XDG_STATE_HOME": state})
        shell.ask("+ elsewhere")
        self.assertEqual(shell.end(), 0)
        with open(os.path.join(state, "memdb/history"), encoding="utf-8") as file:
            self.assertIn("elsewhere", file.read())
        shell = self.start()
        shell.ask("+ before it was killed")
        os.kill(shell.child, signal.SIGKILL)
        self.assertEqual(shell.end(""), -signal.SIGKILL)
        with open(history, encoding="utf-8") as file:
            self.assertIn("killed", file.read())

    def test_tab_completes_commands_options_spaces_keys_and_files(self):
        self.command("remember", "--key", "lantern-1", "--space", "cellar", "one")
        self.command("remember", "--key", "lantern-2", "--space", "cellar", "two")
        self.path("notes.txt", ".get --space cellar lantern-2\n")
        shell = self.start()
        shell.send(".rem\t--sp\t ce\t--key x three\r")       # Tab puts a space behind a whole word
        shell.wait_for("remembered as #3")
        shell.wait_for(PROMPT)
        shell.send(".get --space cellar lan\t")
        shell.wait_for("tern-")
        shell.send("\t")
        shell.wait_for("lantern-1  lantern-2")               # several: they are listed
        shell.wait_for(PROMPT)                               # and the line is shown again
        shell.send("1\r")
        self.assertIn("one", shell.wait_for(PROMPT))
        shell.send(".mode ma\t\r")
        shell.wait_for(PROMPT)
        shell.send(".read no\t\r")
        self.assertIn("| two |", shell.wait_for(PROMPT))
        shell.send(".recall --mode w\t")
        shell.wait_for("ords ")
        shell.drop()
        shell.send("plain te\t")                             # nothing to complete in a question
        shell.wait_for("\x07")
        shell.drop()
        self.assertEqual(shell.end(), 0)

    def test_ctrl_c_drops_the_line_and_ctrl_d_leaves(self):
        shell = self.start()
        shell.send("+ never stored")
        shell.drop()
        for _ in range(20):
            shell.send("\x03")                               # also where they come between two lines
        for _ in range(30):
            shell.send("\r+ stored\r")
            try:
                shell.wait_for("remembered as #1", 2)
                break
            except AssertionError:                           # a signal between lines takes what was typed with it
                os.kill(shell.child, 0)
        else:
            self.fail("it takes no lines any more")
        self.assertEqual(shell.end(".exit\r\x04"), 0)

    def test_ctrl_c_ends_a_long_recall_and_not_the_shell(self):
        lines = "".join(f'{{"id":"k{i}","text":"a lantern {"zz and zzz " * 300}"}}\n' for i in range(5000))
        self.command("import", self.path("lines.jsonl", lines))
        unlikely = " or ".join(f"text contains 'zz{i}'" for i in range(4000))
        self.path("question", f".recall --filter \"{unlikely}\" lantern\n.stats\n")
        shell = self.start()
        shell.send(".read question\r")
        shell.wait_for("\n")
        time.sleep(0.3)
        self.assertEqual(shell.shown[shell.seen:], "")       # it runs
        shell.send("\x03")
        shown = shell.wait_for(PROMPT)
        self.assertIn("MEMDB_INTERRUPTED", shown)
        self.assertNotIn("visible_lsn", shown)               # nor does the rest of the file run
        self.assertIn("lantern", shell.ask(".get k1"))
        self.assertEqual(shell.end(), 0)

    def test_ctrl_c_ends_an_import_which_keeps_what_was_read(self):
        fifo = self.path("fifo")
        os.mkfifo(fifo)
        shell = self.start()
        shell.send(".import fifo\r")
        with open(fifo, "w", encoding="utf-8") as writer:
            writer.write('{"id":"a","text":"first"}\n')
            writer.flush()
            shell.wait_for("lines, ")                        # progress: the first line was taken
            time.sleep(0.3)                                  # it waits for the second
            shell.send("\x03")
            shown = shell.wait_for(PROMPT)
        self.assertIn("MEMDB_INTERRUPTED: at line 2", shown)
        self.assertIn("first", shell.ask(".get a"))
        self.assertEqual(shell.end(), 0)

    def test_a_second_ctrl_c_ends_the_shell_where_one_does_not_help(self):
        lines = "".join(f'{{"id":"k{i}","text":"{"many words " * 30}"}}\n' for i in range(500))
        self.command("import", self.path("lines.jsonl", lines))
        fifo = self.path("fifo")
        os.mkfifo(fifo)
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)  # and nobody reads
        shell = self.start()
        shell.ask(".output fifo")
        shell.send(".export\r")
        shell.wait_for("\n")
        for _ in range(2):
            time.sleep(0.3)
            os.kill(shell.child, 0)                          # it is there, and waits
            shell.send("\x03")
        self.assertEqual(shell.end(""), -signal.SIGINT)
        os.close(reader)

    def test_ctrl_c_ends_the_wait_for_a_file(self):
        os.mkfifo(self.path("fifo"))
        shell = self.start()
        for line in (".import fifo", ".read fifo"):
            shell.send(line + "\r")
            shell.wait_for("\n")
            time.sleep(0.3)
            shell.send("\x03")
            shell.wait_for(PROMPT)
        self.assertEqual(shell.end(), 0)

    def test_answers_follow_the_size_of_the_terminal(self):
        self.command("remember", "--key", "k", "word " * 40)
        shell = self.start(columns=80)
        widest = lambda shown: max(map(len, shown.splitlines()))
        shell.ask(".mode box")
        self.assertEqual(widest(shell.ask(".list")), 80)
        shell.resize(60)
        self.assertEqual(widest(shell.ask(".list")), 60)
        shell.resize(120)
        self.assertEqual(widest(shell.ask(".list")), 120)
        self.assertEqual(shell.end(), 0)

    def test_rc_prompt_and_timer(self):
        self.path(".memdbrc", ".prompt \"memory memdb> \"\n.timer on\n")
        shell = self.start()
        self.assertIn("memory ", shell.shown)
        self.assertRegex(shell.ask(".spaces"), r"time: \d+\.\d ms")
        self.assertEqual(shell.end(), 0)
        shell = self.start("--no-rc")
        self.assertNotIn("memory ", shell.shown)
        self.assertEqual(shell.end(), 0)

    def test_a_pipe_that_closes_early_ends_the_shell_quietly(self):
        lines = "".join(f'{{"id":"k{i}","text":"{"many words " * 30}"}}\n' for i in range(2000))
        self.command("import", self.path("lines.jsonl", lines))
        for words in (("list", "--limit", "2000"), ("export",)):
            shell = subprocess.Popen([shell_case.MEMDB, self.database, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            shell.stdout.read(10)
            shell.stdout.close()
            errors = shell.stderr.read()
            shell.stderr.close()
            self.assertEqual(shell.wait(), 1, words)
            self.assertEqual(errors, b"", words)


if __name__ == "__main__":
    shell_case.main()
