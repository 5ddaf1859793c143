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


if __name__ == "__main__":
    shell_case.main()
