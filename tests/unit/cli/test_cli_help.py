"""Help fits 80 columns, and the manual page has every command and option and is well formed."""
import os
import re
import shutil
import subprocess
import shell_case

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../docs/memdb.1")


class Help(shell_case.ShellCase):
    def pages(self):
        """The text of --help, of .help, and of each command's own page by its name."""
        whole = self.run_shell("--help").stdout.decode()
        prompt = self.run_shell(self.database, data=b".help\n").stdout.decode()
        names = re.findall(r"(?m)^  (\.?[a-z-]+)(?: |$)", whole.split("\ncommands\n")[1].split("\noptions")[0])
        dotted = re.findall(r"(?m)^  \.([a-z-]+)(?: |$)", prompt)
        self.assertGreater(len(names), 20)
        self.assertLess(set(names), set(dotted))
        return whole, prompt, {name: self.run_shell("--help", name).stdout.decode() for name in dotted}

    def test_every_page_fits_80_columns(self):
        whole, prompt, pages = self.pages()
        for name, page in (("--help", whole), (".help", prompt), *pages.items()):
            self.assertTrue(page, name)
            for line in page.splitlines():
                self.assertLessEqual(len(line), 80, (name, line))
                self.assertEqual(line, line.rstrip(), name)
        for line in prompt.split("\n\n", 1)[1].splitlines():  # entry and note of a list never touch
            self.assertFalse(line.startswith("  .") and len(line) > 29 and not re.match(r".{28} \S", line), line)

    def test_the_prompt_shows_the_page_of_a_command(self):
        for line in (".help recall", ".help .recall", ".help mode"):
            shown = self.run_shell(self.database, data=(line + "\n").encode()).stdout.decode()
            self.assertTrue(shown.lstrip(".").startswith(line.split()[1].lstrip(".")), shown)

    def test_the_manual_page_has_all_of_it(self):
        whole, prompt, pages = self.pages()
        with open(PAGE, encoding="utf-8") as file:
            page = file.read().replace("\\-", "-")
        for name in pages:
            self.assertRegex(page, rf"(?m)^\.(B|BI|BR|IR) \.?{name}( |$)", name)
        for option in set(re.findall(r"(?m)^  (--[a-z-]+)", whole)):
            self.assertRegex(page, rf"(?m)^\.(B|BI|BR) {option}( |$)", option)

    def test_the_manual_page_is_well_formed(self):
        commands = [["mandoc", "-Tlint", "-Wwarning", PAGE], ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", PAGE]]
        commands = [command for command in commands if shutil.which(command[0])]
        if not commands:
            self.skipTest("neither mandoc nor man is here")
        for command in commands:
            done = subprocess.run(command, capture_output=True, check=False, env={**os.environ, "MANROFFSEQ": "", "MANWIDTH": "80"})
            self.assertEqual((done.returncode, done.stderr), (0, b""), command)
            if command[0] == "mandoc":
                self.assertEqual(done.stdout, b"")


if __name__ == "__main__":
    shell_case.main()
