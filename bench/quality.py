#!/usr/bin/env python3
"""What each signal of recall is worth on judged data: recall@10 with all of them, and with each one left out.

usage: quality.py MEMDB DIR...
DIR holds corpus.jsonl {id, text, time?, session?, speaker?, ns?}, queries.jsonl {id, text, ns?, ref_date?}, qrels.tsv (query, document,
score) and, optionally, emb-*/{corpus.f32, queries.f32, meta.json}. A set is loaded once and asked with different weights.
"""
import base64
import collections
import glob
import json
import os
import subprocess
import sys
import tempfile

DEFAULTS = {"words": .5, "vector": .5, "trace": 1, "time": 2, "feedback": 1}


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


def recall(shell, folder, relevant, weights, with_vectors):
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
        found = {hit["key"] for hit in shell.ask(op="recall", **fields)["hits"]}
        total += len(found & truth) / len(truth)
        asked += 1
    return total / asked


def main():
    memdb, folders = sys.argv[1], sys.argv[2:]
    table = {}
    without = [()] + [(signal,) for signal in DEFAULTS if signal != "words"] + [("feedback", "trace", "time"), ("words",)]
    for folder in folders:
        with tempfile.TemporaryDirectory() as place:
            shell, relevant = Shell(memdb, f"{place}/db"), judgements(folder)
            load(shell, folder)
            for left_out in without:
                weights = {name: 0 if name in left_out else value for name, value in DEFAULTS.items()}
                cells = [f"{recall(shell, folder, relevant, weights, False):.3f}" if weights["words"] and "vector" not in left_out else "-"]
                has = glob.glob(f"{folder}/emb-*")
                cells.append(f"{recall(shell, folder, relevant, weights, True):.3f}" if has else "-")
                table.setdefault(left_out, []).append(" ".join(cells))
            shell.close()
    print("| left out | " + " | ".join(os.path.basename(os.path.normpath(folder)) for folder in folders) + " |")
    print("|---" * (len(folders) + 1) + "|")
    for left_out, cells in table.items():
        print(f"| {', '.join(left_out) or 'nothing'} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
