"""The neighbourhood of a memory: which memories and links are in it, and how it is drawn."""
import json
import random
import xml.etree.ElementTree
import shell_case


class Graph(shell_case.ShellCase):
    def small(self):
        requests = [{"op": "put", "key": key, "text": text} for key, text in
                    (("ann", "Ann moved"), ("bob", "Bob plays " + "chess " * 30), ("carol", "Carol"), ("dan", "<Dan> \"&\" \\"), ("eve", "東京"))]
        requests += [{"op": "link", "from": from_, "to": to, **more} for from_, to, more in
                     (("ann", "bob", {"type": "knows"}), ("carol", "ann", {"type": "likes"}), ("bob", "dan", {"type": "works with", "weight": 0.5}),
                      ("dan", "carol", {}), ("eve", "eve", {"type": "self"}), ("dan", "eve", {"type": "knows"}))]
        for answer in self.ask(*requests):
            self.assertTrue(answer["ok"], answer)

    def graph(self, *words):
        return json.loads(self.command("graph", *words, "--json"))

    def test_the_tree_hangs_each_memory_once(self):
        self.small()
        self.assertEqual(self.command("graph", "ann", "--hops", "3"),
                         "#1 ann  Ann moved\n"
                         "├─knows─► #2 bob  Bob plays chess chess chess chess chess chess chess chess che…\n"
                         "│  └─works with 0.5─► #4 dan  <Dan> \"&\" \\\n"
                         "│     ├──► = #3\n"
                         "│     └─knows─► #5 eve  東京\n"
                         "└◄─likes─ #3 carol  Carol\n")
        self.assertEqual(self.command("graph", "ann", "--direction", "in", "--hops", "1"), "#1 ann  Ann moved\n└◄─likes─ #3 carol  Carol\n")
        self.assertEqual(self.command("graph", "eve", "--direction", "out"), "#5 eve  東京\n└─self─► = #5\n")
        self.command("remember", "--key", "alone", "nobody near")
        self.assertEqual(self.command("graph", "alone"), "#6 alone  nobody near\nno links\n")
        self.assertIn("there are more", self.command("graph", "ann", "--limit", "2"))
        self.assertEqual(self.command("graph", "ann", "--type", "likes"), "#1 ann  Ann moved\n└◄─likes─ #3 carol  Carol\n")
        self.command("graph", "nobody", code=1)
        self.command("graph", "ann", "--format", "png", code=1)

    def test_no_line_is_wider_than_the_screen(self):
        self.small()
        for width in ("40", "80"):
            for line in self.command("graph", "ann", "--hops", "9", environment={"COLUMNS": width}).splitlines():
                self.assertLessEqual(len(line) + sum("\u2e80" < c for c in line), int(width))

    def test_dot_and_svg_are_well_formed(self):
        self.small()
        dot = self.command("graph", "ann", "--hops", "3", "--format", "dot")
        for line in ("digraph memdb {", "  1 [label=\"ann\", penwidth=2];", "  2 -> 4 [label=\"works with\"];", "  4 -> 3 [label=\"\"];"):
            self.assertIn(line + "\n", dot)
        self.command("remember", "a <b> \"c\" & \\ d")
        self.command("link", "6", "ann", "\"<&>\"")
        self.assertIn("label=\"a <b> \\\"c\\\" & \\\\ d\"", self.command("graph", "6", "--format", "dot"))
        svg = xml.etree.ElementTree.fromstring(self.command("graph", "6", "--format", "svg", "--hops", "5"))
        space = "{http://www.w3.org/2000/svg}"
        self.assertEqual((len(svg.findall(f"{space}circle")), len(svg.findall(f"{space}line"))), (6, 7))
        self.assertIn("a <b> \"c\" & \\ d", [text.text for text in svg.iter(f"{space}text")])

    def test_neighbours_go_as_far_as_they_are_told(self):
        self.small()
        near, far, some = self.ask({"op": "neighbours", "key": "ann"}, {"op": "neighbours", "key": "ann", "hops": 9},
                                   {"op": "neighbours", "key": "ann", "hops": 9, "limit": 2, "direction": "both"})
        self.assertEqual([node["key"] for node in near["nodes"]], ["bob"])
        self.assertEqual([(node["key"], node["hops"]) for node in far["nodes"]], [("bob", 1), ("dan", 2), ("carol", 3), ("eve", 3)])
        self.assertEqual([(link["from"], link["to"], link["type"]) for node in far["nodes"] for link in node["via"]],
                         [(1, 2, "knows"), (2, 4, "works with"), (4, 3, ""), (4, 5, "knows")])
        self.assertEqual([node["key"] for node in some["nodes"]], ["bob", "carol"])
        self.assertIn("from #2", self.command("neighbours", "ann", "--hops", "2"))
        kept, = self.ask({"op": "neighbours", "key": "ann", "hops": 9, "filter": "key != ?", "params": ["dan"]})
        self.assertEqual([node["key"] for node in kept["nodes"]], ["bob"])

    def test_a_path_is_a_shortest_one(self):
        self.small()
        there, back, short, typed, none = self.ask({"op": "path", "from": "ann", "to": "carol"}, {"op": "path", "from": "carol", "to": "dan", "direction": "in"},
                                                   {"op": "path", "from": "ann", "to": "carol", "hops": 2}, {"op": "path", "from": "ann", "to": "dan", "type": "knows"},
                                                   {"op": "path", "from": "ann", "to": "nobody"})
        self.assertEqual([(node["key"], node["hops"], len(node["via"])) for node in there["nodes"]], [("ann", 0, 0), ("bob", 1, 1), ("dan", 2, 1), ("carol", 3, 1)])
        self.assertEqual([node["key"] for node in back["nodes"]], ["carol", "dan"])
        self.assertEqual((short["nodes"], typed["nodes"]), ([], []))
        self.assertEqual(none["code"], "MEMDB_NOT_FOUND")
        self.assertIn("to: ", none["message"])
        self.assertIn("bob", self.command("path", "ann", "carol"))
        self.assertEqual(self.command("path", "ann", "dan", "knows"), "no links\n")

    def test_a_rank_tells_what_is_closest(self):
        self.small()
        answer, out, none, missing = self.ask({"op": "rank", "seeds": ["ann"]}, {"op": "rank", "seeds": ["ann", 4], "direction": "out", "limit": 2, "type": "knows"},
                                              {"op": "rank", "seeds": ["nobody"]}, {"op": "rank"})
        self.assertEqual({node["key"] for node in answer["nodes"]}, {"ann", "bob", "carol", "dan", "eve"})
        scores = [node["score"] for node in answer["nodes"]]
        self.assertEqual(scores, sorted(scores, reverse=True))
        self.assertAlmostEqual(sum(scores) + answer["residual"], 1, 9)
        self.assertEqual([(node["key"], round(node["score"], 4)) for node in out["nodes"]], [("bob", .425), ("eve", .425)])
        self.assertEqual((none["code"], missing["code"]), ("MEMDB_NOT_FOUND", "MEMDB_INVALID"))

    def test_random_graphs_have_what_a_plain_walk_finds(self):
        seed = random.randrange(1 << 30)
        print(f"seed={seed}")
        chance = random.Random(seed)
        count = 60
        self.ask(*({"op": "put", "text": str(i)} for i in range(count)))
        links = {(chance.randint(1, count), chance.randint(1, count), chance.choice("ab")) for _ in range(90)}
        self.ask(*({"op": "link", "from": a, "to": b, "type": type_} for a, b, type_ in sorted(links)))
        for _ in range(12):
            start, hops, type_ = chance.randint(1, count), chance.randint(1, 4), chance.choice(["", "a"])
            direction = chance.choice(["in", "out", "both"])
            walked = [link for link in links if not type_ or link[2] == type_]
            away = {start: 0}
            for step in range(1, hops + 1):
                for a, b, _ in sorted(walked):
                    for near, far in ((a, b), (b, a)):
                        if direction == "both" or (near, far) == ((a, b) if direction == "out" else (b, a)):
                            if away.get(near) == step - 1:
                                away.setdefault(far, step)
            reached = {(a, b, type_) for a, b, type_ in walked for near, far in ((a, b), (b, a)) if away.get(near, hops) < hops
                       and (direction == "both" or (near, far) == ((a, b) if direction == "out" else (b, a)))}
            words = [f"#{start}", "--hops", str(hops), "--direction", direction, "--limit", "1000", *(["--type", type_] if type_ else [])]
            answer = self.graph(*words)
            self.assertEqual({node["id"]: node["hops"] for node in answer["nodes"]}, away, words)
            self.assertEqual(sorted((link["from"], link["to"], link["type"]) for link in answer["links"]), sorted(reached), words)
            self.assertFalse(answer["cut"])
            tree = self.command("graph", *words).splitlines()
            self.assertEqual(sum(" = #" not in line and "no links" not in line for line in tree), len(away), tree)


if __name__ == "__main__":
    shell_case.main()
