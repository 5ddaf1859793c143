"""Selection through the shell: fold, mmr, a token budget, and pages of one snapshot."""
import shell_case

TEXTS = [f"the cat number {i} sat on a mat of straw in the house of my aunt Mary yesterday" for i in range(6)]
TEXTS += ["a cat is a mammal", "my aunt has one cat and a dog"]


class Select(shell_case.ShellCase):
    def setUp(self):
        super().setUp()
        self.ask(*({"op": "put", "key": str(i), "text": text} for i, text in enumerate(TEXTS)))

    def recall(self, **fields):
        answer, = self.ask({"op": "recall", "text": "cat aunt", **fields})
        self.assertTrue(answer["ok"], answer)
        return answer

    def test_near_equal_hits_fold_into_the_best_and_are_counted(self):
        hits = self.recall(fold=True)["hits"]
        self.assertEqual(len(hits), 3)
        self.assertEqual({hit["key"]: hit["folded"] for hit in hits}, {"0": 5, "6": 0, "7": 0})

    def test_mmr_brings_what_is_different_forward(self):
        plain = {hit["key"] for hit in self.recall(k=3)["hits"]}
        mixed = {hit["key"] for hit in self.recall(k=3, mmr=.5)["hits"]}
        self.assertNotIn("6", plain)
        self.assertIn("6", mixed)

    def test_a_budget_takes_what_fits(self):
        answer = self.recall(token_budget=30)
        self.assertEqual([hit["tokens"] for hit in answer["hits"]], [8, 20])
        self.assertIn("too large", answer["fewer"])

    def test_pages_of_a_snapshot_neither_repeat_nor_skip(self):
        pages = [{"op": "recall", "text": "cat aunt", "k": 3, "skip": skip} for skip in (0, 3, 6)]
        whole = [hit["key"] for hit in self.recall(k=8)["hits"]]
        answers = self.ask({"op": "begin", "snapshot": True}, *pages, {"op": "abort"})
        self.assertEqual([hit["key"] for answer in answers[1:4] for hit in answer["hits"]], whole)
        self.assertEqual([answer.get("next") for answer in answers[1:4]], [3, 6, None])

    def test_signs_demand_words_where_the_request_says_so(self):
        def keys(text, **fields):
            answer, = self.ask({"op": "recall", "text": text, **fields})
            return sorted(hit["key"] for hit in answer["hits"])
        self.assertEqual(keys("cat +(mammal dog) -aunts", boolean=True), ["6"])
        self.assertEqual(keys('+"my aunt" -straw', boolean=True), ["7"])
        self.assertEqual(len(keys("cat +(mammal dog) -aunts")), 8)
        answer, = self.ask({"op": "recall", "text": 'cat +"my aunt', "boolean": True})
        self.assertIn("text: at byte 4: a quotation mark does not close", answer["message"])

    def test_pages_go_on_where_they_ended_while_others_write(self):
        whole = [hit["key"] for hit in self.recall(k=8)["hits"]]
        first = self.recall(k=3, page="")
        self.ask({"op": "put", "key": "new", "text": "cat aunt cat aunt"}, {"op": "forget", "key": whole[5]})
        second = self.recall(k=3, page=first["next_page"])
        third = self.recall(k=3, page=second["next_page"])
        self.assertEqual([hit["key"] for page in (first, second, third) for hit in page["hits"]], whole)
        self.assertNotIn("next_page", third)
        self.assertNotIn("next_page", self.recall(k=3))
        answer, = self.ask({"op": "recall", "text": "cat", "k": 3, "page": first["next_page"]})
        self.assertIn("another question", answer["message"])
        self.ask({"op": "checkpoint"})
        answer, = self.ask({"op": "recall", "text": "cat aunt", "k": 3, "page": first["next_page"]})
        self.assertEqual(answer["code"], "MEMDB_EXPIRED")
        self.assertIn("begin a snapshot before the first page", answer["message"])

    def test_a_snippet_is_the_piece_around_the_words(self):
        text = "nothing here " * 30 + "the Zebras of my aunt " + "and more " * 30
        self.ask({"op": "put", "key": "long", "text": text})
        hit, = self.recall(text="zebra aunt", k=1, snippet=60)["hits"]
        snippet = hit["snippet"]
        self.assertEqual(snippet["pieces"][1::2], ["Zebras", "aunt"])
        self.assertEqual("".join(snippet["pieces"]), text[snippet["from"]:snippet["to"]])
        self.assertLessEqual(snippet["to"] - snippet["from"], 60)
        self.assertNotIn("snippet", self.recall(k=1)["hits"][0])
        shown = self.run_shell(self.database, "recall", "zebra aunt", "--k", "1").stdout.decode()
        self.assertIn("Zebras of my aunt", shown)
        self.assertIn("… ", shown)
        self.assertIn(" …", shown)
        self.assertNotIn("*", shown)
        self.assertLess(len(shown), 800)

    def test_what_makes_no_sense_is_refused(self):
        for fields, name in (({"mmr": 2}, "mmr"), ({"token_budget": 0}, "token_budget"), ({"skip": -1}, "skip"),
                             ({"skip": 1, "token_budget": 5}, "token_budget"), ({"snippet": 15}, "snippet"), ({"fold": True, "k": 600}, "fold")):
            answer, = self.ask({"op": "recall", "text": "cat", **fields})
            self.assertEqual(answer["code"], "MEMDB_INVALID")
            self.assertIn(name, answer["message"])


if __name__ == "__main__":
    shell_case.main()
