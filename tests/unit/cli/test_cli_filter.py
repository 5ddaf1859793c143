"""Filters through the shell: recall, list and forget, parameters, and what is refused."""
import json
import shell_case


def put(key, **fields):
    return {"op": "put", "key": key, **fields}


MEMORIES = [
    put("a", text="the lantern hangs in the harbour", kind="fact", time="2026-01-01", attrs={"user": "ann", "n": 1, "tags": ["red", 7]}),
    put("b", text="the lantern is broken", kind="fact", time="2026-02-01", attrs={"user": "bo", "n": 2.5, "due": "2026-03-01T00:00:00Z"}),
    put("c", text="a lantern of paper", kind="note", time="2026-03-01", attrs={"user": "ann", "odd name": {"x": True}}, importance=0.75, session="s"),
    put("d", text="granite", time="2026-04-01", session="s"),
]


class Filter(shell_case.ShellCase):
    def keys(self, filter, params=None, op="list", **more):
        request = {"op": op, "filter": filter, **({} if params is None else {"params": params}), **more}
        answer, = self.ask(request)
        self.assertTrue(answer["ok"], answer)
        return "".join(one["key"] for one in answer["memories" if op == "list" else "hits"])

    def test_list_shows_what_passes(self):
        self.ask(*MEMORIES)
        for filter, params, keys in (
                ("kind = 'fact'", None, "ab"), ("kind != 'fact'", None, "c"), ("not (kind = 'fact' or kind is null)", None, "c"),
                ("kind is null", None, "d"), ("time >= '2026-02-01' and time < ?", ["2026-04-01"], "bc"), ("attr.user = ?", ["ann"], "ac"),
                ("attr.user in ?", [["bo", "nobody"]], "b"), ("attr.n between ? and ?2", [0, 2.5], "ab"), ("attr.n > 1", None, "b"),
                ("attr.tags contains ?", [7], "a"), ("attr.tags contains 're'", None, ""), ("text contains 'lantern'", None, "abc"),
                ('attr."odd name".x = true', None, "c"), ("key starts with 'b' or importance > 0.5", None, "bc"),
                ("attr.due < time ?", ["2026-03-02"], "b"), ("attr.gone = ?", [None], ""), ("kind = ?", ["fact' or kind = 'note"], ""),
                ("session = 's' and key in ('a', 'd')", None, "d")):
            self.assertEqual(self.keys(filter, params), keys, filter)
        self.assertEqual(self.keys("attr.user = 'ann'", prefix=""), "ac")
        self.assertEqual(self.keys("kind is null", session="s"), "d")

    def test_pages_of_a_filtered_list_join(self):
        self.ask(*(put(f"k{i:03}", text="x", tokens=i % 7) for i in range(60)))
        found, after = [], None
        while True:
            answer, = self.ask({"op": "list", "filter": "tokens = 3", "limit": 2, **({"after": after} if after else {})})
            found += [memory["key"] for memory in answer["memories"]]
            after = answer["next"]
            if not after:
                break
        self.assertEqual(found, [f"k{i:03}" for i in range(60) if i % 7 == 3])

    def test_recall_finds_only_what_passes(self):
        self.ask(*MEMORIES)
        self.assertEqual(sorted(self.keys("attr.user = ?", ["ann"], op="recall", text="lantern")), ["a", "c"])
        answer, = self.ask({"op": "recall", "text": "lantern", "filter": "kind = 'x'"})
        self.assertEqual(answer["hits"], [])
        self.assertEqual(answer["fewer"], "only 0 live memories within the filter with a word that is asked for")

    def test_forget_takes_what_passes_and_counts(self):
        self.ask(*MEMORIES)
        answers = self.ask({"op": "forget", "filter": "kind = ?", "params": ["fact"]}, {"op": "forget", "filter": "kind = 'fact'"}, {"op": "list"},
                           {"op": "begin"}, {"op": "forget", "filter": "kind is null", "erase": True}, {"op": "abort"}, {"op": "list"},
                           {"op": "forget", "filter": "id > 0", "erase": True}, {"op": "stats"}, {"op": "verify"})
        self.assertEqual((answers[0]["forgotten"], answers[1]["forgotten"], answers[4]["forgotten"], answers[7]["forgotten"]), (2, 0, 1, 2))
        self.assertGreater(answers[0]["lsn"], 0)
        self.assertEqual([len(answers[i]["memories"]) for i in (2, 6)], [2, 2])
        self.assertEqual((answers[8]["memories"], answers[8]["erasures_pending"]), (0, 2))
        self.assertTrue(answers[9]["ok"])

    def test_what_is_no_filter_is_refused_with_its_place(self):
        self.ask(*MEMORIES)
        for op in ("list", "recall", "forget"):
            more = {"text": "x"} if op == "recall" else {}
            for request, words in (({"filter": "kind = "}, ["byte 7", "expected a value"]), ({"filter": "time > 5"}, ["byte 7", "time is compared with a time"]),
                                   ({"filter": "kind = ?"}, ["byte 7", "parameter 1"]), ({"filter": "id = 1", "params": [1]}, ["1 parameters are given"]),
                                   ({"filter": ""}, ["filter: is empty"]), ({"filter": 5}, ["filter: must be a string"]),
                                   ({"filter": "id = ?", "params": 5}, ["params: must be an array"]), ({"filter": "id = ?", "params": [{}]}, ["params: value 1"]),
                                   ({"filter": "id in ?", "params": [[[]]]}, ["params: value 1"]), ({"params": [1]}, ["params: there is no filter"])):
                self.refused(self.ask({"op": op, **more, **request})[0], "MEMDB_INVALID", *words)
        self.refused(self.ask({"op": "forget", "filter": "id = 1", "key": "a"})[0], "MEMDB_INVALID", "not both")
        self.assertEqual(len(self.ask({"op": "list"})[0]["memories"]), 4)

    def test_commands_take_a_filter(self):
        self.ask(*MEMORIES)
        self.assertIn("granite", self.command("list", "--filter", "kind is null"))
        found = json.loads(self.command("recall", "lantern", "--filter", "attr.user = ?", "--params", '["bo"]', "--json"))
        self.assertEqual([hit["key"] for hit in found["hits"]], ["b"])
        self.assertEqual(self.command("forget", "--filter", "kind = 'fact'"), "forgotten: 2 memories\n")
        self.assertEqual(self.command("forget", "c"), "forgotten: 1 memory\n")
        done = self.run_shell(self.database, "list", "--filter", "kind is 5")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"filter: byte 8: expected null or not null, not 5", done.stderr)
        self.command("forget", "d", "--filter", "id = 1", code=2)
        self.assertIn("--filter", self.command("list", "--help"))


if __name__ == "__main__":
    shell_case.main()
