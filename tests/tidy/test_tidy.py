#!/usr/bin/env python3
"""Every rule of tidy.py is alive: a small tree that breaks it gives exactly that finding, and a clean one gives none."""
import pathlib
import sys
import tempfile

import rules
import tidy

HEAD = "// Purpose.\n"
BODY = "    work();\n" * 101
CASES = (
    ("layer edge", "wal/a.c", HEAD + '#include "engine/e.h"\n', "wal may include"),
    ("layer edge of the shell", "cli/a.c", HEAD + '#include "base/b.h"\n', "cli may include"),
    ("include from the root", "base/a.c", HEAD + '#include "b.h"\n', "write it from the root"),
    ("private header", "engine/a.c", HEAD + '#include "wal/wal_p.h"\n', "private to wal"),
    ("adapter", "engine/a.c", HEAD + "#include <xxhash.h>\n", "only base/checksum.c"),
    ("unknown header", "engine/a.c", HEAD + "#include <zlib.h>\n", "unknown header"),
    ("opening comment", "base/a.c", "int x;\n", "begin with a comment"),
    ("include guard", "base/a.h", HEAD + "#ifndef A_H\n#define A_H\n#endif\n", "include guard"),
    ("file length", "base/a.c", HEAD + "\n" * 600, "lines, more than 600"),
    ("function length", "base/a.c", HEAD + "static void f(void) {\n" + BODY + "}\n", "f has 103 lines"),
    ("string copy", "cli/a.c", HEAD + "void f(void) { strcpy(a, b); }\n", "banned call strcpy"),
    ("memory", "wal/a.c", HEAD + "void f(void) { free(a); }\n", "banned call free"),
    ("files", "wal/a.c", HEAD + "void f(void) { if (pread(a, b, c, d)) {} }\n", "banned call pread"),
    ("output", "wal/a.c", HEAD + 'void f(void) { printf("a"); }\n', "banned call printf"),
    ("atomic order", "wal/a.c", HEAD + "void f(void) { atomic_load(&a); }\n", "banned call atomic_load"),
    ("volatile", "tests/a.c", HEAD + "static volatile int a;\n", "banned word"),
    ("tab", "docs/a.md", "a\tb\n", "tab or carriage"),
    ("trailing space", "docs/a.md", "a \n", "trailing space"),
    ("machine path", "docs/a.md", "see /home/ann/memdb\n", "banned text"),
    ("unfinished", "docs/a.md", "TODO\n", "banned text"),
    ("named test", "docs/a.md", "proved by test_wal_nothing_is_lost\n", "is no test of this project"),
    ("last line", "docs/a.md", "a", "does not end"),
)
CLEAN = {
    "engine/a.c": HEAD + '#include "wal/w.h"\n#include <stdint.h>\n\n// free(a) in a comment, "volatile" in a string.\n'
                  'static const char *text = "strcpy(a, b) volatile";\nstatic void f(void) {\n    io->close(1);\n'
                  "    memdb__free(x);\n    atomic_load_explicit(&a, b);\n}\n",
    "index/lexical/b.c": HEAD + '#include "index/lexical/lexical_p.h"\n',
    "wal/w.h": HEAD + "#ifndef MEMDB_WAL_W_H\n#define MEMDB_WAL_W_H\n#endif\n",
    "wal/wal_p.h": HEAD + "#ifndef MEMDB_WAL_WAL_P_H\n#define MEMDB_WAL_WAL_P_H\n#endif\n",
    "index/lexical/lexical_p.h": HEAD + "#ifndef MEMDB_INDEX_LEXICAL_LEXICAL_P_H\n"
                                 "#define MEMDB_INDEX_LEXICAL_LEXICAL_P_H\n#endif\n",
    "engine/e.h": HEAD + "#ifndef MEMDB_ENGINE_E_H\n#define MEMDB_ENGINE_E_H\n#endif\n",
    "base/b.h": HEAD + "#ifndef MEMDB_BASE_B_H\n#define MEMDB_BASE_B_H\n#endif\n",
}


def check(extra):
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        for path, text in {**CLEAN, **extra}.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
        return rules.check_tree(root, tidy)[0]


def main():
    failed = 0
    findings = check({})
    if findings:
        failed += 1
        print("FAILED clean tree:", *findings, sep="\n  ")
    for name, path, text, wanted in CASES:
        findings = check({path: text})
        if len(findings) != 1 or wanted not in findings[0]:
            failed += 1
            print(f"FAILED {name}: wanted one finding with {wanted!r}, got", findings)
    print(f"{len(CASES) + 1 - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
