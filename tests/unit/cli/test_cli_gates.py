"""Gates through the shell: set, listed, refused and counted."""
import shell_case


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

    def test_a_refused_put_leaves_the_transaction_as_it_was(self):
        answers = self.ask({"op": "gates", "space": "s", "most_alike": 1}, {"op": "begin"}, put("granite"), put("granite"), put("moss"), {"op": "commit"}, {"op": "list", "space": "s"})
        self.assertEqual([answer["ok"] for answer in answers], [True, True, True, False, True, True, True])
        self.assertEqual([memory["text"] for memory in answers[6]["memories"]], ["granite", "moss"])

    def test_out_of_range_is_invalid(self):
        for fields in ({"most_alike": 2}, {"most_memories": -1}, {"expire_after_us": -5}, {"most": 1}):
            answer, = self.ask({"op": "gates", "space": "s", **fields})
            self.assertEqual(answer["code"], "MEMDB_INVALID")
            self.assertIn(next(iter(fields)), answer["message"])


if __name__ == "__main__":
    shell_case.main()
