"""Gates through the shell: set, listed, refused and counted."""
import json
import os

import shell_case

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "gates.golden")
VARIES = ("lsn", "time", "score", "signals")


def without(answer):
    """An answer without what depends on the clock, the format or the ranking."""
    if isinstance(answer, dict):
        return {name: without(value) for name, value in answer.items() if name not in VARIES}
    return [without(value) for value in answer] if isinstance(answer, list) else answer


def put(text, **more):
    return {"op": "put", "text": text, "space": "s", **more}


class Gates(shell_case.ShellCase):
    def test_gates_are_set_listed_and_refuse(self):
        answers = self.ask({"op": "gates", "space": "s", "most_alike": .8, "most_memories": 2}, put("the lantern hangs in the old harbour"),
                           put("the lantern hangs in the OLD harbour"), put("granite"), put("moss"), {"op": "spaces"}, {"op": "stats"})
        self.assertEqual([answer["ok"] for answer in answers], [True, True, False, True, False, True, True])
        for answer, word in ((answers[2], f"memory {answers[1]['id']}"), (answers[4], "at most 2")):
            self.assertEqual(answer["code"], "MEMDB_REFUSED")
            self.assertIn(word, answer["message"])
        self.assertEqual(answers[5]["spaces"][0]["gates"], {"most_alike": .8, "most_memories": 2})
        self.assertEqual(answers[6]["refused"], 2)

    def test_what_is_left_out_stays_and_0_opens(self):
        answers = self.ask({"op": "gates", "space": "s", "most_memories": 1, "expire_after_us": 3600000000}, put("a", key="a"), {"op": "gates", "space": "s", "most_bytes": 50},
                           put("b"), {"op": "gates", "space": "s", "most_memories": 0}, put("b"), {"op": "get", "space": "s", "key": "a"}, {"op": "spaces"})
        self.assertEqual([answer["ok"] for answer in answers], [True, True, True, False, True, True, True, True])
        self.assertIn("expires", answers[6]["memory"])
        self.assertEqual(answers[7]["spaces"][0]["gates"], {"most_bytes": 50, "expire_after_us": 3600000000})

    def test_a_session_is_answered_as_the_golden_file_says(self):
        """Its lines are a request, the answer to it, and so on."""
        with open(GOLDEN, encoding="utf-8") as file:
            lines = file.read().splitlines()
        answers = self.lines(*(line.encode() for line in lines[::2]))
        for request, wanted, answer in zip(lines[::2], lines[1::2], answers, strict=True):
            self.assertEqual(without(answer), json.loads(wanted), request)

    def test_commands_set_gates_and_show_them(self):
        self.assertIn("0.9", self.command("gates", "--most-alike", ".9", "--no-copies"))
        self.assertIn("no_copies", self.command("gates"))
        self.command("remember", "granite")
        self.command("remember", "granite", code=1)
        self.assertIn("nothing was refused", self.command("refused"))  # by this handle
        shown = self.run_shell(self.database, data=b".remember granite\n.refused\n.mode csv\n.refused\n").stdout.decode()
        self.assertRegex(shown, "no_copies +#1 +granite")
        self.assertRegex(shown, "no_copies,1,1")
        self.assertIn("all gates are open", self.command("gates", "--open"))
        self.command("remember", "granite")

    def test_gates_that_are_shown_make_no_space(self):
        answers = self.ask(put("a"), {"op": "gates", "space": "main"}, {"op": "gates", "space": "none"}, {"op": "spaces"})
        self.assertEqual(answers[1], {"ok": True, "gates": {}})
        self.refused(answers[2], "MEMDB_NOT_FOUND", "none")
        self.assertEqual([space["name"] for space in answers[3]["spaces"]], ["s"])

    def test_a_dump_has_all_gates(self):
        gates = {"most_alike": .8, "most_memories": 5, "no_copies": True, "no_recalled": True, "most_near": .9, "near_words": .25}
        self.ask({"op": "gates", "space": "s", **gates}, put("granite"))
        dump = self.command("dump")
        self.database += "2"
        self.command("import", self.path("dump", dump))
        answers = self.ask({"op": "spaces"}, put("granite"))
        self.assertEqual(answers[0]["spaces"][0]["gates"], gates)
        self.refused(answers[1], "MEMDB_REFUSED", "memory 1")

    def test_a_refused_put_leaves_the_transaction_as_it_was(self):
        answers = self.ask({"op": "gates", "space": "s", "most_alike": 1}, {"op": "begin"}, put("granite"), put("granite"), put("moss"), {"op": "commit"}, {"op": "list", "space": "s"})
        self.assertEqual([answer["ok"] for answer in answers], [True, True, True, False, True, True, True])
        self.assertEqual([memory["text"] for memory in answers[6]["memories"]], ["granite", "moss"])

    def test_out_of_range_is_invalid(self):
        for fields in ({"most_alike": 2}, {"most_memories": -1}, {"expire_after_us": -5}, {"most": 1}, {"most_near": 1.5}, {"near_words": -.1}, {"no_copies": 1}):
            answer, = self.ask({"op": "gates", "space": "s", **fields})
            self.assertEqual(answer["code"], "MEMDB_INVALID")
            self.assertIn(next(iter(fields)), answer["message"])


if __name__ == "__main__":
    shell_case.main()
