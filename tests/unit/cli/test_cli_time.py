"""Times over JSON lines (docs/time.md): `now` and `window` of recall, and times that a question names."""
import shell_case


def put(key, text, time, **more):
    return {"op": "put", "key": key, "text": text, "time": time, **more}


def recall(text, **more):
    return {"op": "recall", "text": text, "now": "2023-10-22T12:00:00Z", **more}


class Times(shell_case.ShellCase):
    def keys(self, *requests):
        return [[hit["key"] for hit in answer["hits"]] for answer in self.ask(*requests)]

    def test_a_question_for_a_time_alone_finds_all_of_it(self):
        self.ask(put("a", "granite", "2023-05-08T01:00:00Z", session="s1"), put("b", "the sea", "2023-05-08T23:59:59Z", session="s1"),
                 put("c", "we discuss the month of May", "2023-05-09", session="s2"), put("d", "moss", "2023-10-20", session="s3"))
        self.assertEqual(self.keys(recall("What did we discuss on May 8th?"), recall("What did we talk about last Friday?"), recall("in our second session"),
                                   recall("What did we discuss 3 sessions ago?"), recall("what happened in May", k=2), recall("since May 9 2023")),
                         [["a", "b"], ["d"], ["c"], ["a", "b"], ["c", "a"], ["c", "d"]])
        answer = self.ask(recall("What did we say yesterday?"))[0]
        self.assertEqual(answer["hits"], [])
        self.assertIn("the time that is asked for", answer["fewer"])

    def test_now_decides_which_day_is_meant(self):
        self.ask(put("a", "one", "2023-05-08"), put("b", "two", "2022-05-08"))
        self.assertEqual(self.keys(recall("on May 8th"), {**recall("on May 8th"), "now": "2023-05-07"}), [["a"], ["b"]])
        answer = self.ask({"op": "put", "key": "c", "text": "three"}, {"op": "recall", "text": "what did we say today"})[1]
        self.assertEqual([hit["key"] for hit in answer["hits"]], ["c"])

    def test_a_time_beside_other_words_is_a_signal(self):
        self.ask(put("a", "a dog", "2023-05-08"), put("b", "the dog of dogs and a dog", "2023-03-01"))
        answer = self.ask(recall("which dog on May 8th?"))[0]
        self.assertEqual([(hit["key"], hit["signals"]["time"]) for hit in answer["hits"]], [("a", 2.0), ("b", 0.0)])
        hit = self.ask(recall("which dog on May 8th?", weights={"words": 1, "time": 0.5}))[0]["hits"]
        self.assertEqual({h["key"]: h["signals"]["time"] for h in hit}, {"a": 0.5, "b": 0.0})

    def test_explain_tells_how_the_question_was_read(self):
        self.ask(put("a", "a dog", "2023-05-08", session="s"), put("b", "a cat", "2023-05-09", session="t"))
        for text, what, windows in (("which dog on May 8th?", "raise the time of the question: 2023-05-08T00:00:00Z to 2023-05-09T00:00:00Z", 1),
                                    ("what did we say before May 9 and in our last session?",
                                     "keep to the time of the question: open to 2023-05-09T00:00:00Z; sessions -1 to -1", 2)):
            steps = self.ask(recall(text, explain=True))[0]["plan"]["steps"]
            self.assertEqual([step["rows"] for step in steps if step["what"] == what], [windows], steps)
        self.assertFalse([step for step in self.ask(recall("dog", explain=True))[0]["plan"]["steps"] if "time" in step["what"]])

    def test_a_window_is_hard_and_may_be_open(self):
        self.ask(put("a", "dog", "2023-05-08"), put("b", "dog", "2023-05-09"), put("c", "dog", "2023-05-10"))
        for window, found in ((["2023-05-08", "2023-05-09"], ["a"]), (["2023-05-09", None], ["b", "c"]), ([None, "2023-05-09T00:00:01Z"], ["a", "b"]),
                              ([None, None], ["a", "b", "c"]), (["2023-05-09", "2023-05-09"], [])):
            for mode in ("auto", "words"):
                self.assertEqual(self.keys(recall("dog", window=window, mode=mode)), [found], window)
        self.assertEqual(self.keys(recall("what did we discuss", window=["2023-05-09", None])), [["b", "c"]])

    def test_what_is_no_time_is_refused_by_name(self):
        for fields, words in (({"window": "2023"}, ("window",)), ({"window": ["2023-05-08"]}, ("window", "[from, to]")), ({"window": ["x", None]}, ("window: from", "x")),
                              ({"window": [None, 7]}, ("window: to",)), ({"window": ["2023-05-09", "2023-05-08"]}, ("window", "before")), ({"now": 3}, ("now",)),
                              ({"now": "yesterday"}, ("now",))):
            self.refused(self.ask({"op": "recall", "text": "dog", **fields}, {"op": "create_space", "name": "main"})[0] if "before" not in words else
                         self.ask(put("a", "dog", "2023-05-08"), {"op": "recall", "text": "dog", **fields})[1], "MEMDB_INVALID", *words)

    def test_the_command_takes_them_too(self):
        self.ask(put("a", "dog one", "2023-05-08"), put("b", "dog two", "2023-05-09"))
        out = self.command("recall", "what did we say yesterday", "--now", "2023-05-10")
        self.assertIn("dog two", out)
        self.assertNotIn("dog one", out)
        out = self.command("recall", "dog", "--window", '[null,"2023-05-09"]')
        self.assertIn("dog one", out)
        self.assertNotIn("dog two", out)


class Validity(shell_case.ShellCase):
    def keys(self, *requests):
        return [[hit["key"] for hit in answer.get("hits", answer.get("memories"))] for answer in self.ask(*requests)]

    def build(self):
        return self.ask({"op": "settings", "history_bytes": 1 << 40}, put("paris", "Ann lives in Paris", "2020-03-01"),
                        put("rome", "Ann lives in Rome", "2023-05-08", supersedes="paris"))

    def test_a_put_that_supersedes_closes_the_validity_of_the_other(self):
        self.assertTrue(self.build()[2]["ok"])
        paris, rome, near = self.ask({"op": "get", "key": "paris"}, {"op": "get", "key": "rome"}, {"op": "neighbours", "key": "rome", "type": "supersedes"})
        self.assertEqual(paris["memory"]["valid_to"], "2023-05-08T00:00:00Z")
        self.assertEqual(rome["memory"]["valid_from"], "2023-05-08T00:00:00Z")
        self.assertEqual([node["key"] for node in near["nodes"]], ["paris"])
        self.assertEqual(near["nodes"][0]["via"][0]["valid_from"], "2023-05-08T00:00:00Z")

    def test_what_holds_is_read_at_any_moment(self):
        self.build()
        where = {"op": "recall", "text": "where does Ann live"}
        self.assertEqual(self.keys(where, {**where, "now": "2021-01-01"}, {**where, "valid_at": "2021-01-01"}, {**where, "now": "2021-01-01", "valid_at": "2024-01-01"}),
                         [["rome"], ["paris"], ["paris"], ["rome"]])
        self.assertEqual(sorted((hit["key"], hit.get("valid_from"), hit.get("valid_to")) for hit in self.ask({**where, "valid_at": None})[0]["hits"]),
                         [("paris", None, "2023-05-08T00:00:00Z"), ("rome", "2023-05-08T00:00:00Z", None)])
        self.assertEqual(self.keys({"op": "list"}, {"op": "list", "valid_at": "2021-01-01"}, {"op": "list", "valid_at": "2023-05-08", "prefix": ""}),
                         [["paris", "rome"], ["paris"], ["rome"]])
        answers = self.ask({"op": "get", "key": "paris", "valid_at": "2023-05-08"}, {"op": "get", "key": "paris", "valid_at": "2023-05-07T23:59:59Z"},
                           {"op": "neighbours", "key": "rome", "valid_at": "2021-01-01"}, {"op": "neighbours", "key": "rome"})
        self.refused(answers[0], "MEMDB_NOT_FOUND", "key", "valid")
        self.assertTrue(answers[1]["ok"])
        self.assertEqual([len(answer["nodes"]) for answer in answers[2:]], [0, 1])

    def test_both_axes_are_independent(self):
        answers = self.build()
        before, where = answers[1]["lsn"], {"op": "recall", "text": "where does Ann live"}
        self.assertEqual(self.keys({**where, "as_of": before}, {**where, "as_of": before, "valid_at": "2024-01-01"}, {"op": "list", "as_of": before}), [["paris"], ["paris"], ["paris"]])
        then = self.ask({"op": "get", "key": "paris", "as_of": before}, {"op": "get", "key": "paris"})
        self.assertNotIn("valid_to", then[0]["memory"])
        self.assertIn("valid_to", then[1]["memory"])

    def test_a_transaction_finds_the_fact_that_it_put_in_the_place_of_another(self):
        where = {"op": "recall", "text": "where does Ann live"}
        answers = self.ask({"op": "put", "key": "a", "text": "Ann lives in Paris"}, {"op": "begin"}, {"op": "put", "key": "b", "text": "Ann lives in Rome", "supersedes": "a"},
                           where, {"op": "commit"}, where)
        for answer in (answers[3], answers[5]):
            self.assertEqual([hit["key"] for hit in answer["hits"]], ["b"])

    def test_a_link_of_the_type_supersedes_does_the_same(self):
        answers = self.ask(put("a", "one", "2023-01-01"), put("b", "two", "2023-02-01"), put("c", "three", "2023-03-01"),
                           {"op": "link", "from": "b", "to": "a", "type": "supersedes", "valid_from": "2023-01-15"}, {"op": "get", "key": "a"}, {"op": "get", "key": "b"},
                           put("d", "four", "2023-04-01", links=[{"to": "c", "type": "supersedes"}]), {"op": "get", "key": "c"})
        self.assertEqual(answers[4]["memory"]["valid_to"], "2023-01-15T00:00:00Z")
        self.assertEqual(answers[5]["memory"]["valid_from"], "2023-01-15T00:00:00Z")
        self.assertEqual(answers[7]["memory"]["valid_to"], "2023-04-01T00:00:00Z")

    def test_a_supersedes_that_cannot_be_changes_nothing(self):
        answers = self.ask(put("a", "one", "2023-01-01"), put("b", "two", "2023-02-01", supersedes="nobody"), put("a", "other", "2023-02-01", supersedes="a"),
                           put("c", "three", "2023-03-01", valid_to="2023-02-01", supersedes="a"), {"op": "list"}, put("d", "x", "2023-01-01", supersedes=[1]))
        self.refused(answers[1], "MEMDB_NOT_FOUND", "supersedes", "nobody")
        self.refused(answers[2], "MEMDB_INVALID", "supersedes", "itself")
        self.refused(answers[3], "MEMDB_INVALID", "supersedes", "ceases to hold")
        self.assertEqual([(m["key"], m["text"]) for m in answers[4]["memories"]], [("a", "one")])
        self.refused(answers[5], "MEMDB_INVALID", "supersedes")

    def test_what_expired_is_hidden_everywhere_and_can_be_forgotten(self):
        answers = self.ask(put("a", "dog", "2023-01-01", session="s", expires="2023-06-01"), put("b", "dog", "2023-01-02", session="s", expires="2999-01-01"),
                           {"op": "link", "from": "b", "to": "a"}, {"op": "recall", "text": "dog"}, {"op": "list"}, {"op": "list", "session": "s"}, {"op": "list", "prefix": "a"},
                           {"op": "trace", "key": "b"}, {"op": "neighbours", "key": "b"}, {"op": "get", "key": "a"}, {"op": "recall", "text": "dog", "now": "2023-02-01"})
        for answer in answers[3:6] + [answers[7], answers[10]]:
            self.assertEqual([m["key"] for m in answer.get("hits", answer.get("memories"))], ["b"], answer)
        self.assertEqual(answers[6]["memories"], [])
        self.assertEqual(answers[8]["nodes"], [])
        self.refused(answers[9], "MEMDB_NOT_FOUND", "expired")
        self.assertEqual([answer["ok"] for answer in self.ask({"op": "forget", "key": "a"}, put("a", "cat", "2023-01-01"), {"op": "get", "key": "a"})], [True] * 3)
        self.ask(put("c", "gone", "2023-01-01", expires="2023-06-01"))
        self.assertEqual(self.ask({"op": "forget", "filter": "expires < '2024-01-01'"})[0]["forgotten"], 1)


if __name__ == "__main__":
    shell_case.main()
