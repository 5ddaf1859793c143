"""A dump loads back into an equal database; one that is not whole leaves nothing behind."""
import base64
import json
import os
import random
import struct
import shell_case


class Dump(shell_case.ShellCase):
    def fill(self, seed):
        """Memories of all kinds in several spaces, with links; some are forgotten, so that ids have gaps."""
        print(f"seed={seed}")
        chance = random.Random(seed)
        requests = [{"op": "create_space", "name": "plain", "tokenizer": "plain", "metric": "l2", "dimension": 5, "indexes": ["attr.place", "time"]},
                    {"op": "create_space", "name": "empty"}]
        counts = {"main": 0, "plain": 0, "東京": 0}
        for number in range(120):
            space = chance.choice(list(counts))
            put = {"op": "put", "space": space, "text": chance.choice(["", "words \"quoted\" and\nlines", "nul \x00 inside", "東京 👍🏽 " * 20])}
            optional = {"key": f"key {number}", "kind": "fact", "session": "s", "actor": "Ann", "time": f"2023-05-{number % 28 + 1:02}T01:02:03.5Z",
                        "valid_from": "2020-01-01", "valid_to": "2024-01-01T00:00:00.000001Z", "expires": "2020-05-05", "importance": -0.1, "tokens": 7,
                        "attrs": {"place": "Rome", "deep": {"list": [1, 2.5, None, True, "x"]}, "memdb": {}}}
            put.update({name: value for name, value in optional.items() if chance.random() < 0.5})
            if space != "東京" and chance.random() < 0.7:
                put["vector"] = [chance.uniform(-3, 3) for _ in range(5)]
            requests.append(put)
        answers = self.ask(*requests)
        places = [(request["space"], answer["id"]) for request, answer in zip(requests, answers) if "id" in answer]
        self.assertEqual(len(places), 120, answers)
        gone = set(chance.sample(places, 20))
        rest = [place for place in places if place not in gone]
        changes = [{"op": "forget", "space": space, "id": id_} for space, id_ in gone]
        for number in range(200):
            space, one = chance.choice(rest)
            other = chance.choice([id_ for name, id_ in rest if name == space])
            link = {"op": "link", "space": space, "from": one, "to": other}
            optional = {"type": chance.choice(["knows", "supersedes", "東"]), "weight": chance.uniform(-1, 1), "attrs": {"n": number},
                        "valid_from": "2021-01-01", "valid_to": "2022-01-01"}
            link.update({name: value for name, value in optional.items() if chance.random() < 0.5})
            if link.get("type") != "supersedes" or one < other:
                changes.append(link)
        gated = self.ask(*changes, {"op": "gates", "space": "plain", "most_memories": 1000, "expire_after_us": 5000000})
        self.assertTrue(gated[-1]["ok"], gated[-1])

    def dump_of(self, database):
        done = self.run_shell(database, "dump")
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.decode()

    @staticmethod
    def without_ids(dump):
        """The lines, each id replaced by its memory's place in the dump."""
        places, lines = {}, []
        for line in map(json.loads, dump.splitlines()):
            if "memory" in line:
                places[line["memory"]["id"]] = len(places)
            for object_ in line.values():
                for name in ("id", "from", "to"):
                    if isinstance(object_, dict) and name in object_:
                        object_[name] = places[object_[name]]
            memory = line.get("memory", {})
            if "vector_b64" in memory and memory["space"] == "main":  # cosine: its length is made one anew, its codes stay
                numbers = [number for number, in struct.iter_unpack("<f", base64.b64decode(memory["vector_b64"]))]
                memory["vector_b64"] = [round(127 * number / max(map(abs, numbers))) for number in numbers]
            lines.append(line)
        return sorted(json.dumps(line, sort_keys=True) for line in lines)

    def test_a_dump_loads_into_an_equal_database(self):
        for seed in (int(os.environ.get("MEMDB_SEED", 1)), random.randrange(1 << 30)):
            self.database = os.path.join(self.root, f"from-{seed}")
            self.fill(seed)
            dump = self.dump_of(self.database)
            kinds = [next(iter(json.loads(line))) for line in dump.splitlines()]
            self.assertEqual({kind: kinds.count(kind) > 0 for kind in ("space", "memory", "link", "validity", "gates", "end")},
                             dict.fromkeys(("space", "memory", "link", "validity", "gates", "end"), True))
            copy = os.path.join(self.root, f"to-{seed}")
            file = os.path.join(self.root, f"dump-{seed}")
            self.command("dump", file)
            with open(file, encoding="utf-8") as written:
                self.assertEqual(written.read(), dump)
            done = self.run_shell(copy, "import", file)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(self.without_ids(self.dump_of(copy)), self.without_ids(dump))
            self.assertEqual(json.loads(self.run_shell("--json", copy, "indexes", "--space", "plain").stdout)["indexes"][0]["on"], "attr.place")
            self.assertEqual(self.run_shell(copy, "verify").returncode, 0)
            # words alone: what links are worth is approximated, in an order of ids, and these are new
            ask = ("recall", "words 東京", "--spaces", "main,plain,東京", "--mode", "words", "--json")
            texts = [[(hit["space"], hit["text"], hit["score"]) for hit in json.loads(self.run_shell(database, *ask).stdout)["hits"]]
                     for database in (self.database, copy)]
            self.assertEqual(sorted(texts[0]), sorted(texts[1]))

    def test_what_is_not_whole_is_refused_and_leaves_nothing(self):
        self.fill(7)
        lines = self.dump_of(self.database).splitlines(keepends=True)
        swapped = [line for line in lines if not line.startswith('{"memory"')]
        for name, wrong, word in (("cut", lines[:-1], "end is missing"), ("more", lines + lines[1:2], "behind the end"), ("no memories", swapped, "has no memory"),
                                  ("damaged", lines[:50] + ["{\n"] + lines[50:], "line 51"), ("unknown", lines[:1] + ['{"thing":{}}\n'], "no line of a dump"),
                                  ("later", ['{"memdb_dump":2}\n'], "version 1"), ("less", lines[:20] + lines[21:], "")):
            copy = os.path.join(self.root, name)
            done = self.run_shell(copy, "import", self.path("dump", "".join(wrong)))
            self.assertEqual(done.returncode, 1, name)
            self.assertIn(word, done.stderr.decode(), name)
            self.assertEqual(json.loads(self.run_shell("--json", copy, "spaces").stdout)["spaces"], [], name)
        for words in (("--space", "x"),):
            self.assertEqual(self.run_shell(os.path.join(self.root, "x"), "import", self.path("dump", "".join(lines)), *words).returncode, 1)

    def test_a_dump_does_not_touch_spaces_that_are_there(self):
        self.fill(8)
        before = self.dump_of(self.database)
        done = self.run_shell(self.database, "import", self.path("dump", before))
        self.assertEqual(done.returncode, 1)
        self.assertIn("without its spaces", done.stderr.decode())
        self.assertEqual(self.dump_of(self.database), before)
        self.command("dump", self.path("dump"), code=1)      # and no file is replaced unasked
        self.command("dump", self.path("dump"), "--force")

    def test_the_prompt_dumps_into_its_output(self):
        self.fill(9)
        out = self.path("out.jsonl")
        self.run_shell(self.database, data=f".once {out}\n.dump\n".encode())
        with open(out, encoding="utf-8") as file:
            self.assertEqual(file.read(), self.dump_of(self.database))


if __name__ == "__main__":
    shell_case.main()
