"""import and export: fields, repeatability, interruption, vectors, and the way back."""
import json
import os
import random
import signal
import struct
import subprocess
import time
import shell_case


def corpus(count, **more):
    return [{"id": f"m{i}", "text": f"memory number {i} of many", "time": f"2023-01-01T{i // 3600 % 24:02}:{i // 60 % 60:02}:{i % 60:02}Z",
             "session": f"s{i // 10}", "speaker": ("Ann", "Bo")[i % 2], **more} for i in range(count)]


def text_of(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


class Import(shell_case.ShellCase):
    def read_in(self, *words, code=0):
        done = self.run_shell("--json", "--durability", "os", self.database, "import", *words)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def test_fields_are_mapped_and_the_rest_becomes_attrs(self):
        row = {"id": "x", "text": "hällo", "time": "2023-05-08T13:56:00", "session": "s", "speaker": "Ann", "ns": "far", "place": "上海", "n": [1]}
        self.read_in(self.path("a", text_of([row])))
        memory = self.ask({"op": "get", "space": "far", "key": "x"})[0]["memory"]
        self.assertEqual((memory["text"], memory["time"], memory["session"], memory["actor"], memory["attrs"]),
                         ("hällo", "2023-05-08T13:56:00Z", "s", "Ann", {"place": "上海", "n": [1]}))
        self.read_in(self.path("a"), "--space", "near")
        self.assertEqual(self.ask({"op": "get", "space": "near", "key": "x"})[0]["memory"]["attrs"], {"place": "上海", "n": [1]})

    def test_second_run_skips_what_is_there_and_changes_what_differs(self):
        rows = corpus(2500, place={"a": 1.5})
        self.assertEqual(self.read_in(self.path("a", text_of(rows)))["imported"], 2500)
        self.assertEqual(self.read_in(self.path("a")), {"ok": True, "imported": 0, "changed": 0, "skipped": 2500})
        rows[1234]["text"] = "another text"
        self.assertEqual(self.read_in(self.path("a", text_of(rows))), {"ok": True, "imported": 0, "changed": 1, "skipped": 2499})

    def test_import_killed_at_random_is_completed_by_a_second_run(self):
        seed = int(os.environ.get("MEMDB_SEED", random.randrange(1 << 30)))
        print(f"seed={seed}")
        path = self.path("a", text_of(corpus(6000)))
        process = subprocess.Popen([shell_case.MEMDB, "--durability", "os", self.database, "import", path, "--batch", "100"])
        time.sleep(random.Random(seed).random() * 0.3)
        process.send_signal(signal.SIGKILL)
        process.wait()
        answer = self.read_in(path)
        self.assertEqual((answer["imported"] + answer["skipped"], answer["changed"]), (6000, 0))
        self.assertEqual(self.ask({"op": "spaces"})[0]["spaces"][0]["memories"], 6000)

    def test_errors_name_the_line_and_keep_what_came_before(self):
        rows = text_of(corpus(5))
        for bad, word in (('{"id":"q"}', "text"), ('{"text":"q"}', "id"), ('{"id":"q","text":5}', "text"), ('{"id":"q","text":"x","time":"noon"}', "time"),
                          ("[]", "object"), ('{"id":"q","text":"x","memdb":{"key":"y"}}', "memdb.key"), ("{", "JSON")):
            answer = self.read_in(self.path("a", rows + bad + "\n"), code=1)
            self.refused(answer, "MEMDB_INVALID", "line 6", word)
        self.assertEqual(len(self.ask({"op": "list"})[0]["memories"]), 5)
        self.refused(self.read_in(self.path("none"), code=1), "MEMDB_NOT_FOUND")

    def test_vectors_go_with_their_lines_and_a_wrong_size_is_refused_first(self):
        dice = random.Random(8)
        vectors = [[dice.gauss(0, 1) for _ in range(8)] for i in range(30)]
        packed = b"".join(struct.pack("<8f", *row) for row in vectors)
        path, rows = self.path("a", text_of(corpus(30))), self.path("v", packed)
        self.refused(self.read_in(path, "--vectors", rows, "--dimension", "7", code=1), "MEMDB_INVALID", "vectors")
        self.refused(self.read_in(path, "--vectors", rows, code=1), "MEMDB_INVALID", "dimension")
        self.assertEqual(self.ask({"op": "list"})[0]["memories"], [])
        self.assertEqual(self.read_in(path, "--vectors", rows, "--dimension", "8")["imported"], 30)
        for i in (0, 17, 29):
            hit = self.ask({"op": "recall", "vector": vectors[i], "mode": "vector", "k": 1})[0]["hits"][0]
            self.assertEqual(hit["key"], f"m{i}")
        self.assertEqual(self.read_in(path, "--vectors", rows, "--dimension", "8")["skipped"], 30)
        self.path("v", packed[32:] + packed[:32])
        self.assertEqual(self.read_in(path, "--vectors", rows, "--dimension", "8")["changed"], 30)

    def test_export_then_import_gives_the_same_memories(self):
        rows = corpus(40, tag="é\u0001") + [{"id": "z", "text": "", "ns": "far"}]
        self.read_in(self.path("a", text_of(rows)))
        self.ask({"op": "put", "text": "without key", "kind": "fact", "importance": 0.5, "tokens": 3, "expires": "2999-01-01", "attrs": {"id": "own"}})
        out = self.path("out")
        self.command("export", out)
        self.command("export", out, code=1)
        self.command("export", out, "--force")
        before = [self.ask({"op": "list", "space": space})[0]["memories"] for space in ("main", "far")]
        first, self.database = self.database, self.path("second")
        self.read_in(out)
        after = [self.ask({"op": "list", "space": space})[0]["memories"] for space in ("main", "far")]
        for old, new in zip(sum(before, []), sum(after, [])):
            for memory in (old, new):
                for name in ("id", "version"):
                    memory.pop(name)
            old["key"] = old["key"] or new["key"]
            self.assertEqual(old, new)
        self.assertEqual(sum(map(len, before)), sum(map(len, after)))
        self.database = first

    def test_export_to_standard_output_holds_lines_alone(self):
        self.read_in(self.path("a", text_of(corpus(3))), "--space", "s")
        rows = [json.loads(line) for line in self.command("export", "--space", "s").splitlines()]
        self.assertEqual(rows, corpus(3))

    def test_sample_conversation_answers_its_questions(self):
        sample = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../docs/sample")
        self.assertGreaterEqual(self.read_in(os.path.join(sample, "conversation.jsonl"))["imported"], 60)
        with open(os.path.join(sample, "questions.txt"), encoding="utf-8") as questions:
            for question, word in zip(questions, ("cat", "Fernhollow", "Walnuts", "lonely")):
                self.assertIn(word, self.command("recall", question.strip(), "--k", "5"), question)


if __name__ == "__main__":
    shell_case.main()
