"""How the rules of tidy.py are applied. Every check returns findings as lines `path:line: rule: what to do`."""
import os
import pathlib
import re
import subprocess

SOURCES = (".c", ".h", ".cpp")
TEXTS = SOURCES + (".md", ".txt", ".cmake", ".in", ".json", ".py", ".sh", ".pml", ".jsonl")
SKIPPED = re.compile(r"^(\.git|build|build-.*|__pycache__)$")

# Headers of the C library and of Linux that any file may include.
SYSTEM = set("""assert.h complex.h cpuid.h ctype.h dirent.h errno.h fcntl.h float.h ftw.h inttypes.h limits.h locale.h math.h poll.h
    pthread.h sched.h semaphore.h setjmp.h signal.h spawn.h stdalign.h stdarg.h stdatomic.h stdbool.h stddef.h stdint.h stdio.h
    stdlib.h stdnoreturn.h string.h strings.h time.h unistd.h getopt.h wchar.h langinfo.h endian.h linux/falloc.h linux/futex.h linux/fs.h
    linux/magic.h linux/membarrier.h sys/auxv.h sys/file.h sys/ioctl.h sys/mman.h sys/mount.h sys/random.h sys/resource.h sys/stat.h sys/statfs.h
    sys/prctl.h sys/syscall.h sys/sysmacros.h sys/time.h sys/types.h sys/uio.h sys/utsname.h sys/vfs.h sys/wait.h asm/hwcap.h""".split())


def text_files(root):
    for at, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if not SKIPPED.match(f))
        for name in sorted(names):
            path = pathlib.Path(at, name)
            if path.suffix in TEXTS or name in ("dev", "run", "LICENSE", ".clang-format", ".gitignore"):
                yield path


def strip(text):
    """The code with comments blanked, strings and characters emptied, lines kept."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def blank(match):
        found = match.group()
        if found.startswith("/"):
            return " " + "\n" * found.count("\n")
        return found[0] + found[-1]
    return pattern.sub(blank, text)


def functions(code):
    """(name, first line, lines) of each function body at file level."""
    code = re.sub(r"(?m)^[ \t]*#(?:[^\n\\]|\\\n|\\.)*", lambda m: "\n" * m.group().count("\n"), code)
    code = re.sub(r'extern\s+""\s*\{', "", code)
    depth, start, name, found = 0, 0, "", []
    for match in re.finditer(r"[{}]", code):
        if match.group() == "{":
            if depth == 0:
                before = re.split(r"[;}]", code[:match.start()])[-1]
                head = re.search(r"(\w+)\s*\(.*\)[^=]*$", before, re.S)
                name = head.group(1) if head and "=" not in before.split("(")[0] else ""
                start = code.count("\n", 0, match.start()) + 1
            depth += 1
        elif depth > 0:
            depth -= 1
            if depth == 0 and name:
                found.append((name, start, code.count("\n", 0, match.start()) + 2 - start))
    return found


def check_text(path, text, tables):
    findings = []
    if text and not text.endswith("\n"):
        findings.append(f"{path}: the last line does not end")
    for number, line in enumerate(text.split("\n"), 1):
        if "\t" in line or "\r" in line:
            findings.append(f"{path}:{number}: tab or carriage return: use spaces")
        if line != line.rstrip():
            findings.append(f"{path}:{number}: trailing space")
        if str(path).startswith("tests/tidy/"):
            continue                                        # names the words that it bans
        for pattern, instead in tables.BANNED_TEXT:
            if re.search(pattern, line):
                findings.append(f"{path}:{number}: banned text {pattern}: {instead}")
    return findings


def check_includes(root, path, text, tables):
    findings, parts = [], path.parts
    folder = parts[0]
    for number, line in enumerate(text.split("\n"), 1):
        match = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)
        if not match:
            continue
        kind, name = match.groups()
        place = f"{path}:{number}: include {name}"
        if kind == "<":
            if name in SYSTEM or path.suffix == ".cpp" and "." not in name:
                continue
            allowed = tables.ADAPTERS.get(name)
            if allowed is None:
                findings.append(f"{place}: unknown header: name its one adapter in ADAPTERS of tests/tidy/tidy.py")
            elif not any(str(path) == a or a.endswith("/") and str(path).startswith(a) for a in allowed):
                findings.append(f"{place}: only {' '.join(allowed)} may include it: call that adapter")
            continue
        if folder == "include" and "/" not in name and (root / folder / name).is_file():
            continue  # the installed headers stand beside each other in one folder
        if "/" not in name or name.startswith(".") or not (root / name).is_file():
            findings.append(f"{place}: write it from the root: \"folder/{os.path.basename(name)}\"")
            continue
        target = pathlib.PurePath(name)
        edges = tables.LAYERS.get(folder)
        if edges is not None and target.parts[0] not in edges:
            findings.append(f"{place}: {folder} may include {' '.join(sorted(edges))} only: "
                            "move the code, or hand the thing in as an argument")
        private = target.name.startswith(target.parts[-2] + "_")
        if private and folder not in ("tests", "bench") and target.parent != path.parent:
            findings.append(f"{place}: private to {target.parent}: use its contract header")
    return findings


def check_source(root, path, text, tables):
    findings, warnings = [], []
    folder, code = path.parts[0], strip(text)
    lines = code.split("\n")
    if not re.match(r"\s*(//|/\*)", text):
        findings.append(f"{path}:1: begin with a comment: purpose and invariants")
    if path.suffix == ".h":
        stem = path.stem.upper()
        guard = r"#ifndef (MEMDB_(?:\w+_)?%s_H|MEMDB_H)\n#define \1\n" % stem
        if not re.search(guard, text):
            findings.append(f"{path}:1: include guard: write #ifndef MEMDB_{path.parts[0].upper()}_{stem}_H")
    for names, folders, excepted, instead in tables.BANNED_CALLS:
        if folder not in folders or str(path) in excepted:
            continue
        pattern = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(names.split()))
        for number, line in enumerate(lines, 1):
            for match in pattern.finditer(line):
                findings.append(f"{path}:{number}: banned call {match.group(1)}: use {instead}")
    for pattern, folders, instead in tables.BANNED_WORDS:
        for number, line in enumerate(lines, 1):
            if folder in folders and re.search(pattern, line):
                findings.append(f"{path}:{number}: banned word {pattern}: use {instead}")
    count = text.count("\n")
    if count > tables.MAX_FILE_LINES:
        findings.append(f"{path}: {count} lines, more than {tables.MAX_FILE_LINES}: split it by subject")
    elif count > tables.LONG_FILE_LINES:
        warnings.append(f"{path}: {count} lines")
    for name, start, length in functions(code) if path.suffix != ".cpp" else ():
        if length > tables.MAX_FUNCTION_LINES:
            findings.append(f"{path}:{start}: {name} has {length} lines, more than {tables.MAX_FUNCTION_LINES}: "
                            "name its steps as functions")
        elif length > tables.LONG_FUNCTION_LINES:
            warnings.append(f"{path}:{start}: {name} has {length} lines")
    long_lines = [n for n, line in enumerate(text.split("\n"), 1) if len(line) > tables.MAX_COLUMNS]
    if long_lines:
        warnings.append(f"{path}:{long_lines[0]}: {len(long_lines)} lines over {tables.MAX_COLUMNS} columns")
    return findings, warnings


def check_named_tests(named, known):
    """The documents name tests as proof: each must be there."""
    return [f"{place}: {name} is no test of this project: name one that is, or leave the promise out"
            for place, name in named if name not in known]


def check_tree(root, tables):
    """(findings, warnings, count of files) of all text files under `root`."""
    findings, warnings, count = [], [], 0
    named, known = [], set()
    for absolute in text_files(root):
        path = absolute.relative_to(root)
        count += 1
        try:
            text = absolute.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            findings.append(f"{path}: not UTF-8")
            continue
        findings += check_text(path, text, tables)
        if path.parts[0] == "docs" and path.suffix == ".md":
            for number, line in enumerate(text.split("\n"), 1):
                named += [(f"{path}:{number}", name) for name in re.findall(r"\btest_\w+", line)]
        elif path.parts[0] == "tests":
            known.update(re.findall(r"\btest_\w+", path.name + " " + text))
        if path.suffix in SOURCES and path.parts[0] in tables.LAYERS:
            findings += check_includes(root, path, text, tables)
            more, near = check_source(root, path, text, tables)
            findings += more
            warnings += near
    return findings + check_named_tests(named, known), warnings, count


def symbols(*command):
    """(type, name) of each line of nm's output."""
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {(fields[-2], fields[-1]) for fields in map(str.split, output.splitlines()) if len(fields) >= 2}


def declared(root):
    """The functions that the headers of include/ declare with MEMDB_API."""
    headers = sorted((root / "include").glob("*.h"))
    code = "\n".join(strip(header.read_text(encoding="utf-8")) for header in headers)
    code = re.sub(r"(?m)^[ \t]*#(?:[^\n\\]|\\\n|\\.)*", "", code)
    return set(re.findall(r"\bMEMDB_API\b[^;(]*?(\w+)\s*\(", code))


def check_symbols(root, archive, library):
    findings = []
    for kind, name in sorted(symbols("nm", "--defined-only", "--extern-only", archive)):
        if kind in "TDBRVWC" and not re.match(r"memdb__?[a-z]", name) and not name.startswith("__"):
            findings.append(f"{archive}: symbol {name}: make it static, or call it memdb__{name}")
    public, api = {n for k, n in symbols("nm", "-D", "--defined-only", library) if k in "TDBRVWC"}, declared(root)
    for name in sorted(public - api):
        findings.append(f"{library}: exports {name}, which no header of include/ declares: hide it, or declare it")
    for name in sorted(api - public):
        findings.append(f"{library}: include/ declares {name}, which is not exported: define it")
    for name in sorted(api):
        if not re.match(r"memdb_[a-z]", name):
            findings.append(f"include/: {name}: public names begin with memdb_")
    return findings
