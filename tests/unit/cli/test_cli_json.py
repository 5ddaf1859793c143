"""JSON lines: goal, that each request gets the one answer that the contract promises, and that a refused request changes
nothing. Method: whole conversations with the shell, whose answers are compared."""
import base64
import json
import os
import struct
import shell_case


def put(key, **fields):
    return {"op": "put", "key": key, "text": f"text of {key}", **fields}


class Json(shell_case.ShellCase):
    def test_put_then_get_gives_every_field_back(self):
        fields = {"text": "naïve \u0000 text 東京", "kind": "fact", "session": "s1", "actor": "Ann", "time": "2023-05-08T13:56:00+02:00",
                  "valid_from": "2023-01-01", "valid_to": "2024-01-01T00:00:00.5Z", "expires": "2999-12-31T23:59:59Z", "importance": 0.1,
                  "tokens": 7, "attrs": {"x": [1, 2.5, {"y": None}], "z": "ü"}}
        answer, got = self.ask({"op": "put", "key": "a", **fields}, {"op": "get", "key": "a"})
        self.assertTrue(answer["ok"] and answer["id"] >= 1 and answer["lsn"] > 0)
        memory = got["memory"]
        for name in ("text", "kind", "session", "actor", "importance", "tokens", "attrs", "expires"):
            self.assertEqual(memory[name], fields[name])
        self.assertEqual((memory["time"], memory["valid_from"], memory["valid_to"]),
                         ("2023-05-08T11:56:00Z", "2023-01-01T00:00:00Z", "2024-01-01T00:00:00.500000Z"))
        self.assertEqual((memory["id"], memory["key"], memory["space"]), (answer["id"], "a", "main"))
        self.assertGreater(memory["version"], 0)

    def test_put_with_known_key_keeps_fields_left_out(self):
        answers = self.ask(put("a", actor="Ann"), {"op": "put", "key": "a", "text": "new"}, {"op": "get", "key": "a"})
        self.assertEqual(answers[0]["id"], answers[1]["id"])
        self.assertEqual((answers[2]["memory"]["text"], answers[2]["memory"]["actor"]), ("new", "Ann"))

    def test_malformed_lines_are_invalid_and_answered_in_order(self):
        raw = [b"", b"   ", b"{", b"[1]", b"7", b"null", b'{"op":"get","key":"a"} x', b'{"op":"get","key":"\xff"}',
               b'{"op":"get","id":99999999999999999999}', b'{"op":"put","importance":1e999}', b"[" * 5000, b'{"op":7}', b'{"op":"nix"}',
               b"{}", b'{"op":"spaces"}']
        *bad, good = self.lines(*raw)
        for answer in bad:
            self.refused(answer, "MEMDB_INVALID")
        self.assertEqual(good["spaces"], [])

    def test_wrong_fields_are_invalid_and_named(self):
        cases = [("nope", {"nope": 1}), ("text", {"text": 5}), ("text", {"text": None}), ("key", {"key": ""}), ("key", {"key": "a\0b"}), ("space", {"space": ""}),
                 ("session", {"session": "a\0"}), ("actor", {"actor": ["x"]}), ("time", {"time": "2023-02-29"}), ("time", {"time": 5}),
                 ("valid_from", {"valid_from": "yesterday"}), ("tokens", {"tokens": -1}), ("tokens", {"tokens": 1.5}), ("tokens", {"tokens": 1 << 40}),
                 ("importance", {"importance": "high"}), ("attrs", {"attrs": []}), ("vector", {"vector": "x"}), ("vector", {"vector": []}),
                 ("vector", {"vector": [1, "2"]}), ("vector", {"vector": [1e39]}), ("vector_b64", {"vector_b64": "AAAA"}),
                 ("vector_b64", {"vector_b64": "AADAfw=="}), ("vector_b64", {"vector": [1], "vector_b64": "AACAPw=="}), ("links", {"links": {}}),
                 ("links", {"links": [{"type": "x"}]}), ("links", {"links": [{"to": 1, "x": 1}]}), ("links", {"links": [{"to": True}]}),
                 ("durability", {"durability": "some"}), ("id", {"id": 1})]
        answers = self.ask(*({"op": "put", "text": "t", **fields, "re": i} for i, (_, fields) in enumerate(cases)), {"op": "list"})
        for number, ((name, _), answer) in enumerate(zip(cases, answers)):
            self.refused(answer, "MEMDB_INVALID", name)
            self.assertEqual(answer["re"], number)
        self.assertEqual(answers[-1]["memories"], [])

    def test_duplicate_key_is_invalid_and_brings_re_back(self):
        answer, = self.lines(b'{"op":"put","text":"a","text":"b","re":{"n":[1,null]}}')
        self.refused(answer, "MEMDB_INVALID", "text")
        self.assertEqual(answer["re"], {"n": [1, None]})

    def test_line_above_the_limit_is_invalid_and_the_next_one_is_answered(self):
        long = b'{"op":"put","text":"' + b"x" * (64 << 20) + b'"}'
        first, second = self.lines(long, b'{"op":"spaces","re":2}')
        self.refused(first, "MEMDB_INVALID", "64 MiB")
        self.assertEqual(second, {"ok": True, "spaces": [], "re": 2})

    def test_seeds_bring_what_is_linked_to_them(self):
        self.ask(put("topic", kind="topic"), put("a", text="the lantern hangs in the harbour"), put("b", text="granite is found in the north"),
                 {"op": "link", "from": "b", "to": "topic", "type": "about"})
        ask = {"op": "recall", "text": "lantern", "filter": "kind is null"}
        plain, seeded, none, wrong, empty = self.ask(ask, {**ask, "seeds": ["topic"]}, {**ask, "seeds": ["nobody"]}, {**ask, "seeds": [1.5]}, {**ask, "seeds": []})
        self.assertEqual([hit["key"] for hit in plain["hits"]], ["a"])
        self.assertEqual([hit["key"] for hit in seeded["hits"]], ["a", "b"])
        self.refused(none, "MEMDB_NOT_FOUND", "seeds", "nobody")
        self.refused(wrong, "MEMDB_INVALID", "seeds")
        self.refused(empty, "MEMDB_INVALID", "seeds", "1 to 1000")
        self.assertIn("granite", self.command("recall", "--seeds", "topic,#2", "--filter", "kind is null", "lantern"))

    def test_as_of_reads_what_was_there_then(self):
        self.ask({"op": "settings", "history_bytes": 1 << 40}, {"op": "create_space", "name": "main"})
        first = self.ask(put("a", text="the lantern hangs in the harbour", session="s", time="2023-05-08"), put("b", text="granite", session="s", time="2023-05-09"),
                         {"op": "link", "from": "a", "to": "b", "type": "t"})
        lsn = first[2]["lsn"]
        time = self.ask({"op": "checkpoint"}, {"op": "stats"})[1]["history_time"]
        self.ask(put("a", text="moss"), {"op": "forget", "key": "b"}, {"op": "checkpoint"})
        now, then, listed, traced, found, near, nothing, early = self.ask(
            {"op": "get", "key": "a"}, {"op": "get", "key": "a", "as_of": lsn}, {"op": "list", "as_of": lsn}, {"op": "trace", "key": "b", "as_of": lsn},
            {"op": "recall", "text": "lantern", "mode": "words", "as_of": lsn}, {"op": "neighbours", "key": "a", "as_of": lsn},
            {"op": "recall", "text": "lantern", "mode": "words"}, {"op": "list", "as_of": "2020-01-01T00:00:00Z"})
        self.assertEqual(now["memory"]["text"], "moss")
        self.assertEqual(then["memory"]["text"], "the lantern hangs in the harbour")
        self.assertEqual([m["key"] for m in listed["memories"]], ["a", "b"])
        self.assertEqual([m["key"] for m in traced["memories"]], ["a", "b"])
        self.assertEqual([h["key"] for h in found["hits"]], ["a"])
        self.assertEqual([n["key"] for n in near["nodes"]], ["b"])
        self.assertEqual(nothing["hits"], [])
        self.assertEqual(early["memories"], [])
        self.assertIsNone(time)  # history reaches back to the beginning

    def test_as_of_that_history_does_not_reach_is_told(self):
        lsn = self.ask(put("a", text="one"))[0]["lsn"]
        self.ask(put("a", text="two"), {"op": "checkpoint"})
        told, ahead, bad, zero = self.ask({"op": "get", "key": "a", "as_of": lsn}, {"op": "get", "key": "a", "as_of": 1 << 60},
                                          {"op": "get", "key": "a", "as_of": "yesterday"}, {"op": "get", "key": "a", "as_of": 0})
        self.refused(told, "MEMDB_EXPIRED", "history")
        for answer in (ahead, bad, zero):
            self.refused(answer, "MEMDB_INVALID", "as_of")

    def test_settings_are_kept_and_seen_by_the_next_shell(self):
        none, some = self.ask({"op": "settings"}, {"op": "settings", "history_us": 5000000, "snapshot_limit_us": 60000000})
        self.assertEqual(none, {"ok": True, "history_us": 0, "history_bytes": 0, "snapshot_limit_us": 0})
        self.assertEqual(some, {"ok": True, "history_us": 5000000, "history_bytes": 0, "snapshot_limit_us": 60000000})
        kept, bad = self.ask({"op": "settings"}, {"op": "settings", "history_us": -1})
        self.assertEqual(kept, some)
        self.refused(bad, "MEMDB_INVALID", "history_us")

    def test_compact_and_purge_report_and_purge_erases(self):
        secret = "the marmaladekins are hidden"
        answers = self.ask(put("a", text=secret), put("b", text="something else"), {"op": "forget", "key": "a", "erase": True}, {"op": "stats"},
                           {"op": "compact"}, {"op": "purge"}, {"op": "stats"}, {"op": "get", "key": "b"}, {"op": "verify"},
                           {"op": "purge", "what": 1}, {"op": "forget", "key": "b", "erase": "yes"}, {"op": "forget", "key": "b", "erase": False})
        self.assertEqual(answers[2]["forgotten"], 1)
        self.assertEqual(answers[3]["erasures_pending"], 1)
        for field in ("bytes_before", "bytes_after", "extents_collected", "extents_waiting", "waiting_bytes"):
            self.assertIsInstance(answers[4][field], int)
            self.assertIsInstance(answers[5][field], int)
        self.assertNotIn("memories_erased", answers[4])
        self.assertEqual((answers[5]["memories_erased"], answers[5]["archived_files_removed"]), (1, 0))
        self.assertEqual(answers[6]["erasures_pending"], 0)
        self.assertEqual(answers[7]["memory"]["text"], "something else")
        self.assertTrue(answers[8]["ok"])
        self.refused(answers[9], "MEMDB_INVALID", "what")
        self.refused(answers[10], "MEMDB_INVALID", "erase")
        self.assertEqual(answers[11]["forgotten"], 1)
        for folder, _, names in os.walk(self.database):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    self.assertNotIn(b"marmaladekin", file.read(), name)

    def test_recall_finds_by_words_and_says_why_fewer(self):
        answers = self.ask(put("a", text="the lantern hangs in the harbour", session="s", time="2023-05-08"), put("b", text="granite and moss"),
                           {"op": "recall", "text": "lantern", "mode": "words", "k": 3})
        hit, = answers[-1]["hits"]
        self.assertEqual((hit["key"], hit["space"], hit["text"], hit["time"], hit["session"]),
                         ("a", "main", "the lantern hangs in the harbour", "2023-05-08T00:00:00Z", "s"))
        self.assertAlmostEqual(sum(hit["signals"].values()), hit["score"], places=5)
        self.assertLessEqual({"words", "vector", "trace", "time"}, set(hit["signals"]))
        self.assertTrue(answers[-1]["fewer"])

    def test_recall_by_vector_takes_both_spellings(self):
        packed = base64.b64encode(struct.pack("<3f", 0, 1, 0)).decode()
        answers = self.ask(put("x", vector=[1, 0, 0]), put("y", vector_b64=packed), {"op": "recall", "vector_b64": packed, "mode": "vector", "k": 1},
                           {"op": "recall", "vector": [0.9, 0.1, 0], "k": 1}, {"op": "recall", "vector": [1, 2], "k": 1})
        self.assertEqual([hit["key"] for hit in answers[2]["hits"]], ["y"])
        self.assertEqual([hit["key"] for hit in answers[3]["hits"]], ["x"])
        self.refused(answers[4], "MEMDB_INVALID")

    def test_recall_refuses_wrong_questions(self):
        for request, name in (({}, "text"), ({"text": "x", "k": 0}, "k"), ({"text": "x", "k": 10001}, "k"), ({"text": "x", "mode": "deep"}, "mode"),
                              ({"text": "x", "weights": {"magic": 1}}, "weights.magic"), ({"text": "x", "weights": {"words": -1}}, "weights.words"),
                              ({"text": "x", "space": "main", "spaces": ["main"]}, "spaces"), ({"text": "x", "spaces": []}, "spaces"),
                              ({"text": "x", "spaces": ["a", "a"]}, "spaces")):
            self.refused(self.ask({"op": "recall", **request})[0], "MEMDB_INVALID", name)

    def test_unknown_space_is_not_found_but_main_is_empty(self):
        answers = self.ask({"op": "recall", "text": "x"}, {"op": "list"}, {"op": "get", "key": "a"}, {"op": "recall", "text": "x", "space": "far"},
                           {"op": "list", "space": "far"}, {"op": "get", "space": "far", "key": "a"}, {"op": "recall", "text": "x", "spaces": ["main", "far"]})
        self.assertEqual(answers[0]["hits"], [])
        self.assertTrue(answers[0]["fewer"])
        self.assertEqual(answers[1]["memories"], [])
        self.refused(answers[2], "MEMDB_NOT_FOUND", "a")
        for answer in answers[3:]:
            self.refused(answer, "MEMDB_NOT_FOUND", "far")

    def test_list_pages_by_time_session_and_key(self):
        puts = [put(f"k{i:02}", time=f"2023-01-{30 - i:02}", session="odd" if i % 2 else "even") for i in range(25)]
        pages, request = [], {"op": "list", "limit": 10}
        self.ask(*puts)
        while True:
            answer, = self.ask(request)
            pages.append([memory["key"] for memory in answer["memories"]])
            if not answer["next"]:
                break
            request = {**request, "after": answer["next"]}
        self.assertEqual([len(page) for page in pages], [10, 10, 5])
        self.assertEqual(sum(pages, []), [f"k{i:02}" for i in reversed(range(25))])
        odd, keys, some, wrong = self.ask({"op": "list", "session": "odd"}, {"op": "list", "prefix": "k1"}, {"op": "list", "from": "2023-01-10", "to": "2023-01-12"},
                                          {"op": "list", "after": "!"})
        self.assertEqual([m["key"] for m in odd["memories"]], [f"k{i:02}" for i in reversed(range(1, 25, 2))])
        self.assertEqual([m["key"] for m in keys["memories"]], [f"k{i}" for i in range(10, 20)])
        self.assertEqual([m["key"] for m in some["memories"]], ["k20", "k19"])
        self.refused(wrong, "MEMDB_INVALID", "after")

    def test_trace_gives_the_session_around_one(self):
        self.ask(*(put(f"t{i}", time=f"2023-01-01T00:00:{i:02}Z", session="s") for i in range(9)), put("alone"))
        around, two, alone = self.ask({"op": "trace", "key": "t4"}, {"op": "trace", "key": "t0", "before": 2, "after": 1}, {"op": "trace", "key": "alone"})
        self.assertEqual([m["key"] for m in around["memories"]], [f"t{i}" for i in range(1, 8)])
        self.assertEqual([m["key"] for m in two["memories"]], ["t0", "t1"])
        self.assertEqual([m["key"] for m in alone["memories"]], ["alone"])

    def test_links_are_walked_one_hop_in_each_direction(self):
        answers = self.ask(put("a"), put("b", links=[{"to": "a", "type": "after"}, {"to": "b", "type": "self"}]), put("c", links=[{"to": "nobody"}]), {"op": "get", "key": "c"},
                           {"op": "link", "from": "a", "to": "b", "type": "before", "weight": 0.5}, {"op": "neighbours", "key": "a", "direction": "both"},
                           {"op": "neighbours", "key": "a"}, {"op": "unlink", "from": "a", "to": "b", "type": "before"}, {"op": "neighbours", "key": "a"},
                           {"op": "unlink", "from": "a", "to": "b", "type": "before"})
        self.refused(answers[2], "MEMDB_NOT_FOUND", "nobody")
        self.refused(answers[3], "MEMDB_NOT_FOUND")
        node, = answers[5]["nodes"]
        self.assertEqual((node["key"], node["hops"], sorted(via["type"] for via in node["via"])), ("b", 1, ["after", "before"]))
        self.assertEqual(answers[6]["nodes"][0]["via"][0]["weight"], 0.5)
        self.assertEqual(answers[8]["nodes"], [])
        self.refused(answers[9], "MEMDB_NOT_FOUND")

    def test_forget_counts_and_then_nothing_is_found(self):
        answers = self.ask(put("a", text="lantern"), {"op": "forget", "key": "a"}, {"op": "get", "key": "a"}, {"op": "recall", "text": "lantern"}, {"op": "forget", "key": "a"})
        self.assertEqual(answers[1]["forgotten"], 1)
        self.refused(answers[2], "MEMDB_NOT_FOUND")
        self.assertEqual(answers[3]["hits"], [])
        self.refused(answers[4], "MEMDB_NOT_FOUND")

    def test_spaces_are_created_listed_and_dropped(self):
        answers = self.ask({"op": "create_space", "name": "v", "dimension": 3, "metric": "l2", "tokenizer": "plain"}, {"op": "create_space", "name": "v"},
                           put("a", space="v", vector=[1, 2, 3]), put("b", space="v", vector=[1, 2]), {"op": "spaces"}, {"op": "drop_space", "name": "v"},
                           {"op": "get", "space": "v", "key": "a"}, {"op": "drop_space", "name": "v"})
        self.refused(answers[1], "MEMDB_EXISTS")
        self.refused(answers[3], "MEMDB_INVALID")
        space, = answers[4]["spaces"]
        self.assertEqual((space["name"], space["dimension"], space["metric"], space["memories"], space["bytes"]), ("v", 3, "l2", 1, 9))
        self.refused(answers[6], "MEMDB_NOT_FOUND", "v")
        self.refused(answers[7], "MEMDB_NOT_FOUND", "v")

    def test_indexes_are_made_listed_and_dropped(self):
        answers = self.ask({"op": "create_space", "name": "v", "indexes": ["kind", "attr.n"]}, put("a", space="v", kind="fact", attrs={"n": 1}),
                           put("b", space="v", kind="fact"), {"op": "create_index", "space": "v", "on": "actor"}, {"op": "indexes", "space": "v"},
                           {"op": "create_index", "space": "v", "on": "kind"}, {"op": "create_index", "space": "v", "on": "attrs"},
                           {"op": "begin"}, {"op": "create_index", "space": "v", "on": "key"}, {"op": "drop_index", "space": "v", "on": "kind"},
                           {"op": "commit"}, {"op": "indexes", "space": "v"}, {"op": "drop_index", "space": "v", "on": "kind"},
                           {"op": "indexes"}, {"op": "create_space", "name": "w", "indexes": ["kind", "kind"]}, {"op": "verify"})
        self.assertEqual(answers[4]["indexes"], [{"on": "kind", "ready": True, "memories": 2}, {"on": "attr.n", "ready": True, "memories": 1},
                                                 {"on": "actor", "ready": True, "memories": 0}])
        self.refused(answers[5], "MEMDB_EXISTS")
        self.refused(answers[6], "MEMDB_INVALID", "attrs")
        self.refused(answers[8], "MEMDB_INVALID", "transaction")
        self.assertEqual([index["on"] for index in answers[11]["indexes"]], ["attr.n", "actor"])
        self.refused(answers[12], "MEMDB_NOT_FOUND", "kind")
        self.refused(answers[13], "MEMDB_NOT_FOUND", "main")
        self.refused(answers[14], "MEMDB_INVALID", "kind")
        self.assertTrue(answers[15]["ok"])

    def test_explain_tells_plan_rows_and_weights(self):
        puts = [put(f"k{n}", space="v", text="lantern in the harbour", kind="fact" if n % 10 == 0 else "note", vector=[1, n, 2]) for n in range(200)]
        ask = {"op": "recall", "space": "v", "text": "lantern", "vector": [1, 2, 3], "k": 5, "filter": "kind = 'fact'", "explain": True}
        answers = self.ask({"op": "create_space", "name": "v", "indexes": ["kind"]}, *puts, ask, {**ask, "filter": "kind = 'note'"},
                           {**ask, "filter": "contains"}, {**ask, "explain": False})
        members, rest = answers[201]["plan"], answers[202]["plan"]
        self.assertEqual([step["what"].split()[0] for step in members["steps"][:3]], ["space", "plan:", "ids"])
        self.assertIn("members", members["steps"][1]["what"])
        self.assertEqual(members["steps"][2]["what"], "ids by index: kind = 'fact'")
        self.assertEqual([(step["depth"], step["rows"]) for step in members["steps"][:3]], [(0, 5), (1, 20), (2, 20)])
        self.assertEqual(members["steps"][2]["estimated"], 20)
        self.assertTrue(all(step["us"] >= 0 for step in members["steps"] + rest["steps"]))
        self.assertEqual(members["weights"]["words"], 0.5)
        self.assertIn("plan: ", rest["steps"][1]["what"])
        self.refused(answers[203], "MEMDB_INVALID", "byte")
        self.assertNotIn("plan", answers[204])

    def test_space_without_words_stores_texts_and_finds_none_by_words(self):
        answers = self.ask({"op": "create_space", "name": "raw", "tokenizer": "none"}, put("a", space="raw", text="plain words"), {"op": "spaces"},
                           {"op": "get", "space": "raw", "key": "a"}, {"op": "recall", "space": "raw", "text": "plain words"}, {"op": "verify"})
        self.assertEqual(answers[2]["spaces"][0]["tokenizer"], "none")
        self.assertEqual(answers[3]["memory"]["text"], "plain words")
        self.assertEqual(answers[4]["hits"], [])
        self.assertIn("fewer", answers[4])
        self.assertTrue(answers[5]["ok"])

    def test_database_operations_answer_their_figures(self):
        copy = self.path("copy")
        answers = self.ask(put("a"), {"op": "checkpoint"}, {"op": "verify"}, {"op": "stats"}, {"op": "backup", "to": copy},
                           put("b"), {"op": "backup", "to": copy}, {"op": "backup", "to": self.root})
        self.assertTrue(all(answer["ok"] for answer in answers[:7]), answers)
        self.assertEqual(answers[2]["errors"], [])
        self.assertEqual(answers[3]["memories"], 1)
        self.assertEqual([answers[n]["incremental"] for n in (4, 6)], [False, True])
        self.assertEqual(answers[6]["lsn"], answers[5]["lsn"])
        self.assertTrue(answers[4]["files"] > answers[6]["files"] > 0 and answers[6]["bytes"] > 0, answers)
        self.refused(answers[7], "MEMDB_EXISTS")
        self.database = copy
        self.assertEqual(self.ask({"op": "get", "key": "a"})[0]["memory"]["text"], "text of a")


if __name__ == "__main__":
    shell_case.main()
