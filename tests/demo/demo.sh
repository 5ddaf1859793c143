#!/bin/bash
# demo.sh MEMDB: a conversation is imported and asked; a writer is killed in mid-write and everything that it was told
# is safe is shown to be there. Exit code 1 when something acknowledged is missing.
set -eu
memdb=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
writer=
trap '[ -z "$writer" ] || kill -9 "$writer" 2>/dev/null || true; rm -rf "$work"' EXIT
db=$work/agent.memdb

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
else
    bold="" green="" red="" plain=""
fi
step=0
heading() {
    step=$((step + 1))
    printf '\n%s%d. %s%s\n' "$bold" "$step" "$*" "$plain"
}
shell() { # show a command as a person would type it, then run it
    local word shown="memdb agent.memdb"
    for word in "${@/#$work\//}"; do
        if [[ $word == *[!A-Za-z0-9_./-]* ]]; then shown+=" \"$word\""; else shown+=" $word"; fi
    done
    printf '%s$ %s%s\n' "$bold" "$shown" "$plain"
    "$memdb" "$db" "$@"
}

# A real conversation where the data stands beside the checkout, else the sample that comes with the project.
corpus=$root/../shared/data/locomo/corpus.jsonl
if [ -r "$corpus" ]; then
    grep -F '"ns": "conv-26"' "$corpus" >"$work/conversation.jsonl"
    from="a conversation of two friends over half a year, from LoCoMo"
    questions=("When did Caroline go to the LGBTQ support group?"
        "What book did Melanie read that Caroline suggested?"
        "Where did Caroline move from 4 years ago?"
        "What musical instruments does Melanie play?")
else
    cp "$root/docs/sample/conversation.jsonl" "$work/conversation.jsonl"
    from="docs/sample/conversation.jsonl"
    mapfile -t questions <"$root/docs/sample/questions.txt"
fi

heading "Import $(wc -l <"$work/conversation.jsonl") memories: $from"
shell import "$work/conversation.jsonl" --space talk

heading "Ask. Each hit says what its score is made of"
for question in "${questions[@]}"; do
    shell recall "$question" --space talk --k 3
    echo
done

heading "Kill a writer with SIGKILL in mid-write"
requests() {
    local i=0
    while :; do
        i=$((i + 1))
        echo "{\"op\":\"put\",\"space\":\"notes\",\"key\":\"note-$i\",\"text\":\"this is note number $i\",\"re\":$i}"
    done
}
requests 2>/dev/null | "$memdb" --json "$db" >"$work/answers.jsonl" 2>"$work/writer.log" &
writer=$!
for _ in $(seq 600); do
    [ "$(wc -l <"$work/answers.jsonl")" -lt 500 ] || break
    sleep 0.05
done
sleep "0.$((RANDOM % 9 + 1))"
kill -9 "$writer"
wait "$writer" 2>/dev/null || true
writer=
echo "the writer is dead; each of its answers said that a memory would survive even a power loss"

heading "Open again and look for every acknowledged memory"
python3 - "$work/answers.jsonl" "$work/gets.jsonl" <<'PYTHON'
import json, sys
with open(sys.argv[1], encoding="utf-8") as answers, open(sys.argv[2], "w", encoding="utf-8") as gets:
    for line in answers:
        if line.endswith("\n") and (answer := json.loads(line))["ok"]:
            print(json.dumps({"op": "get", "space": "notes", "key": f"note-{answer['re']}", "re": answer["re"]}), file=gets)
PYTHON
"$memdb" --json "$db" <"$work/gets.jsonl" >"$work/found.jsonl"
read -r acknowledged found < <(python3 - "$work/gets.jsonl" "$work/found.jsonl" <<'PYTHON'
import json, sys
asked = [json.loads(line)["re"] for line in open(sys.argv[1], encoding="utf-8")]
answers = [json.loads(line) for line in open(sys.argv[2], encoding="utf-8")]
whole = [a["re"] for a in answers if a["ok"] and a["memory"]["text"] == f"this is note number {a['re']}"]
print(len(asked), len(set(asked) & set(whole)))
PYTHON
)
echo "acknowledged: $acknowledged   found whole after the kill: $found"
if [ "$acknowledged" -eq 0 ] || [ "$found" -ne "$acknowledged" ]; then
    echo "${red}something that was acknowledged is missing$plain"
    exit 1
fi
echo "${green}nothing that was acknowledged is missing$plain"

heading "Check every byte, and look at the figures"
shell verify
shell stats
