#!/usr/bin/env python3
"""The rules of the code's shape, checked as a test.

usage: tidy.py ROOT [--archive libmemdb.a --library libmemdb.so [--symbols]] [--warnings]

Sources: layer edges, includes from the root, one adapter a third-party header, file and function length, bans, guards,
opening comments. All text files: tabs, trailing spaces, machine paths. docs/: a test that is named exists. Archive and
library: symbol prefixes, and that the headers of include/ and the exported symbols are the same list; --symbols checks
these alone. Every finding names the rule and what to do instead. The tables below are the rules; rules.py applies them.
Exit code 1 when anything was found. --warnings also lists what is near a limit (files over 400 lines, functions over
70, lines over 100 columns): no reason to fail.
"""
import argparse
import pathlib
import sys

import rules

# What a folder may include. Tests see all. A file `<folder>_*.h` is private to its folder.
LAYERS = {
    "include": set(),
    "base": {"include", "base"},
    "wal": {"include", "base", "wal"},
    "blob": {"include", "base", "blob"},
    "index": {"include", "base", "index"},
    "engine": {"include", "base", "wal", "blob", "index", "engine"},
    "query": {"include", "base", "index", "engine", "query"},
    "cli": {"include", "cli"},
    "bench": {"include", "base", "index", "bench"},
    "tests": None,
}
LIBRARY = ("include", "base", "wal", "blob", "index", "engine", "query")

# Third-party headers, and the only places that may include them.
ADAPTERS = {
    "xxhash.h": ("base/checksum.c",),
    "liburing.h": ("base/uring.c", "tests/lib/faults_uring.c"),
    "linux/io_uring.h": ("cli/outlive.c",),
    "dlfcn.h": ("tests/lib/",),
    "lmdb.h": ("engine/catalog/catalog.c", "bench/"),
    "libstemmer.h": ("index/lexical/lexical_stem.c",),
    "utf8proc.h": ("index/lexical/lexical_unicode.c",),
    "jansson.h": ("base/json.c", "cli/", "tests/"),
    "editline/readline.h": ("cli/",),
    "histedit.h": ("cli/",),
    "cmocka.h": ("tests/",),
    "rocksdb/c.h": ("bench/",),
    "sqlite3.h": ("bench/",),
    "memdb.h": ("tests/consumer/",),
    "immintrin.h": ("index/kernels/", "index/lexical/", "bench/"),
    "arm_neon.h": ("index/kernels/", "index/lexical/"),
}

MEMORY = "memdb__allocate and its kin (base/memory.h), so that a test can fail each allocation"
FILES = "the functions of base/io.h, so that a test can fail or record each call"
COPY = "memcpy of a size that was checked, or snprintf"
STATUS = "return a memdb_status_t; a library never ends its host"

# Calls: names, where they are banned (folders), the files that are excepted, and the replacement.
EVERYWHERE = LIBRARY + ("cli", "bench", "tests")
BANNED_CALLS = (
    ("strcpy stpcpy strncpy strcat strncat", EVERYWHERE, (), COPY),
    ("sprintf vsprintf", EVERYWHERE, (), "snprintf"),
    ("gets", EVERYWHERE, (), "fgets or getline"),
    ("atoi atol atoll atof", EVERYWHERE, (), "strtol and its kin, with the end pointer and errno looked at"),
    ("rand srand random srandom drand48 lrand48", EVERYWHERE, (),
     "a generator of its own with a printed seed, so that the run can be replayed"),
    ("strtok", EVERYWHERE, (), "a memdb__reader_t, or strcspn"),
    ("alloca", EVERYWHERE, (), "a fixed array with a named limit, or memdb__arena_t"),
    ("gmtime localtime ctime asctime", EVERYWHERE, (), "gmtime_r: the others share a buffer between threads"),
    ("tmpnam mktemp tempnam", EVERYWHERE, (), "mkdtemp"),
    ("malloc calloc realloc free strdup strndup asprintf vasprintf aligned_alloc posix_memalign", LIBRARY,
     ("base/memory.c", "index/lexical/lexical_unicode.c"), MEMORY),
    ("open openat creat read write pread pwrite readv writev preadv pwritev close fsync fdatasync "
     "sync_file_range msync mmap munmap ftruncate truncate fallocate posix_fallocate rename renameat unlink unlinkat "
     "mkdir mkdirat rmdir opendir fdopendir readdir fopen fdopen fread fwrite", LIBRARY,
     ("base/io.c", "base/io_file.c", "base/uring.c"), FILES),
    ("printf fprintf puts fputs perror", LIBRARY, (), "the log function of memdb_options_t"),
    ("exit _exit abort quick_exit", LIBRARY, (), STATUS),
    ("system popen execl execlp execve execvp", LIBRARY + ("cli",), (), "a function of the library"),
    ("sleep usleep", LIBRARY, (), "a futex or a condition variable with a deadline"),
    ("assert", LIBRARY, ("base/check.h",), "MEMDB_ASSERT (base/check.h)"),
    ("strerror", LIBRARY, (), "memdb__fail_errno (base/status.h)"),
    ("setjmp longjmp sigsetjmp siglongjmp", LIBRARY, (), STATUS),
    ("atomic_load atomic_store atomic_exchange atomic_fetch_add atomic_fetch_sub atomic_fetch_or atomic_fetch_and "
     "atomic_compare_exchange_strong atomic_compare_exchange_weak", LIBRARY, (),
     "the form with _explicit, and a comment that names its partner"),
)

# Words in code (comments and strings are taken out first): pattern, folders, replacement.
BANNED_WORDS = (
    (r"\bvolatile\b", EVERYWHERE, "an _Atomic object with an explicit order"),
    (r"\b__(sync|atomic)_\w+", EVERYWHERE, "stdatomic.h with an explicit order"),
    (r"^\s*#\s*if\s+0\b", EVERYWHERE, "delete it; the history keeps it"),
    (r"^\s*#\s*pragma\s+once\b", EVERYWHERE, "an include guard MEMDB_<FOLDER>_<FILE>_H"),
)

# Words in any text file: pattern, replacement.
BANNED_TEXT = (
    (r"\b(TODO|FIXME|XXX|HACK)\b", "finish it, or say in docs/ what is left out"),
    (r"(?<![\w./$}])/(work|home|root|Users|mnt|srv)/\w", "a path relative to the project or to a variable"),
    (r"/usr/(lib|include)/[a-z0-9_]+-linux", "what find_package or pkg-config says"),
)

MAX_FILE_LINES, LONG_FILE_LINES = 600, 400
MAX_FUNCTION_LINES, LONG_FUNCTION_LINES = 100, 70
MAX_COLUMNS = 100


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=pathlib.Path)
    parser.add_argument("--archive")
    parser.add_argument("--library")
    parser.add_argument("--symbols", action="store_true")
    parser.add_argument("--warnings", action="store_true")
    options = parser.parse_args()
    tables = sys.modules[__name__]
    findings, warnings, count = ([], [], 0) if options.symbols else rules.check_tree(options.root, tables)
    if options.archive and options.library:
        findings += rules.check_symbols(options.root, options.archive, options.library)
    for finding in findings:
        print(finding)
    if options.warnings:
        for warning in warnings:
            print("near a limit:", warning)
    print(f"tidy: {count} files, {len(findings)} findings, {len(warnings)} near a limit")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
