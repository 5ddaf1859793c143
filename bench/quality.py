#!/usr/bin/env python3
"""What each signal of recall is worth on judged data: recall@10 with all of them, and with each one left out.

usage: quality.py [--links] MEMDB DIR...
DIR holds corpus.jsonl {id, text, time?, session?, speaker?, ns?}, queries.jsonl {id, text, ns?, ref_date?}, qrels.tsv (query, document,
score) and, optionally, emb-*/{corpus.f32, queries.f32, meta.json}. A set is loaded once and asked with different weights.
--links: sets that have graph.jsonl {id, entities, triples} get it as links: entities are memories without a text, linked from the
documents that name them and, by each triple, to each other; entities that a question names are its seeds.
"""
import base64
import collections
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

DEFAULTS = {"words": .5, "vector": .5, "trace": 1, "time": 2, "feedback": 1, "graph": .5}


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def vectors(folder, name):
    places = glob.glob(f"{folder}/emb-*")
    if not places:
        return None
    with open(f"{places[0]}/meta.json", encoding="utf-8") as file:
        step = 4 * json.load(file)["dim"]
    with open(f"{places[0]}/{name}.f32", "rb") as file:
        data = file.read()
    return [base64.b64encode(data[i:i + step]).decode() for i in range(0, len(data), step)]


def judgements(folder):
    relevant = collections.defaultdict(set)
    with open(f"{folder}/qrels.tsv", encoding="utf-8") as file:
        for line in file.read().splitlines()[1:]:
            query, document, _ = line.split("\t")
            relevant[query].add(document)
    return relevant


class Shell:
    def __init__(self, memdb, path):
        self.process = subprocess.Popen([memdb, "--json", "--durability", "os", path], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, encoding="utf-8")

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if not answer["ok"]:
            raise RuntimeError(answer)
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def load(shell, folder):
    rows = vectors(folder, "corpus")
    shell.ask(op="begin")
    for number, document in enumerate(lines(f"{folder}/corpus.jsonl")):
        fields = {"key": document["id"], "text": document["text"], "space": document.get("ns") or "main"}
        for theirs, ours in (("time", "time"), ("session", "session"), ("speaker", "actor")):
            if document.get(theirs):
                fields[ours] = document[theirs]
        if rows:
            fields["vector_b64"] = rows[number]
        shell.ask(op="put", **fields)
        if number % 500 == 499:
            shell.ask(op="commit")
            shell.ask(op="begin")
    shell.ask(op="commit")


def entity(name):
    return "entity:" + " ".join(name.lower().split())


def load_links(shell, folder):
    """Returns the entities, each with the words of its name between blanks."""
    rows = lines(f"{folder}/graph.jsonl")
    links = {(row["id"], "names", entity(name)) for row in rows for name in row["entities"]}
    for row in rows:
        for from_, type_, to in (triple for triple in row["triples"] if len(triple) == 3 and triple[0] and triple[2]):
            links |= {(row["id"], "names", entity(from_)), (row["id"], "names", entity(to)), (entity(from_), type_[:1000], entity(to))}
    entities = sorted({end for link in links for end in link[::2] if end.startswith("entity:")})
    requests = [{"op": "put", "key": key, "kind": "entity"} for key in entities]
    requests += [{"op": "link", "from": from_, "type": type_, "to": to} for from_, type_, to in sorted(links)]
    for start in range(0, len(requests), 2000):
        shell.ask(op="begin")
        for request in requests[start:start + 2000]:
            shell.ask(**request)
        shell.ask(op="commit")
    named = {row_entity for row in rows for row_entity in map(entity, row["entities"])}
    return {key: words_of(key[len("entity:"):]) for key in sorted(named) if len(key) > len("entity:") + 3}


def words_of(text):
    return " " + " ".join(re.findall(r"[^\W_]+", text.lower())) + " "


def seeds_of(text, entities):
    """The entities that a question names, and no parts of longer ones."""
    words = words_of(text)
    found = [key for key, name in entities.items() if name in words]
    return [key for key in found if not any(key != other and entities[key] in entities[other] for other in found)]


def recall(shell, folder, relevant, weights, with_vectors, entities):
    rows = vectors(folder, "queries") if with_vectors else None
    total = asked = 0
    for number, query in enumerate(lines(f"{folder}/queries.jsonl")):
        truth = relevant.get(query["id"])
        if not truth:
            continue
        fields = {"text": query["text"], "space": query.get("ns") or "main", "k": 10, "weights": weights}
        if query.get("ref_date"):
            fields["now"] = query["ref_date"]
        if rows:
            fields["vector_b64"] = rows[number]
        if entities:
            fields |= {"filter": "kind is null", "seeds": seeds_of(query["text"], entities)}
        if not fields.get("seeds"):
            fields.pop("seeds", None)
        found = {hit["key"] for hit in shell.ask(op="recall", **fields)["hits"]}
        total += len(found & truth) / len(truth)
        asked += 1
    return total / asked


def main():
    with_links = "--links" in sys.argv
    memdb, *folders = (word for word in sys.argv[1:] if word != "--links")
    table = {}
    without = [()] + [(signal,) for signal in DEFAULTS if signal != "words"] + [("feedback", "trace", "time"), ("words",)]
    for folder in folders:
        with tempfile.TemporaryDirectory() as place:
            shell, relevant = Shell(memdb, f"{place}/db"), judgements(folder)
            load(shell, folder)
            entities = load_links(shell, folder) if with_links and os.path.exists(f"{folder}/graph.jsonl") else {}
            for left_out in without:
                weights = {name: 0 if name in left_out else value for name, value in DEFAULTS.items()}
                cells = [f"{recall(shell, folder, relevant, weights, False, entities):.3f}" if weights["words"] and "vector" not in left_out else "-"]
                has = glob.glob(f"{folder}/emb-*")
                cells.append(f"{recall(shell, folder, relevant, weights, True, entities):.3f}" if has else "-")
                table.setdefault(left_out, []).append(" ".join(cells))
            shell.close()
    print("| left out | " + " | ".join(os.path.basename(os.path.normpath(folder)) for folder in folders) + " |")
    print("|---" * (len(folders) + 1) + "|")
    for left_out, cells in table.items():
        print(f"| {', '.join(left_out) or 'nothing'} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
