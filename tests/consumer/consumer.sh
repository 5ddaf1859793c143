#!/bin/bash
# consumer.sh WAY SOURCE BUILD CMAKE CC CXX: install the built library into a fresh prefix, move that prefix (an
# installation must not depend on where it was made), and build and run programs against it, by find_package
# (WAY cmake) or by pkg-config (WAY pkgconfig): in C and C++, shared and static, and README.md's own program.
set -eu
way=$1 source=$2 build=$3 cmake=$4 cc=$5 cxx=$6
here=$source/tests/consumer
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

DESTDIR=$work/stage "$cmake" --install "$build" --prefix /opt/memdb >"$work/install.log"
prefix=$work/moved
mv "$work/stage/opt/memdb" "$prefix"
test -s "$prefix/share/man/man1/memdb.1"
if grep -rlF "$source" "$prefix" --include='*.cmake' --include='*.pc' --include='*.h'; then
    echo "the files above name the source folder" >&2
    exit 1
fi

# The first C block of README.md is a whole program.
awk '/^```c$/ { inside = 1; next } /^```$/ { if (inside) exit } inside' \
    "$source/README.md" >"$work/readme.c"
test -s "$work/readme.c"
lines=$(wc -l <"$work/readme.c")
if [ "$lines" -gt 25 ]; then
    echo "README.md's program has $lines lines, more than 25" >&2
    exit 1
fi

out=$work/out
mkdir "$out"
case $way in
cmake)
    cp "$here/project/CMakeLists.txt" "$here/consumer.c" "$here/consumer.cpp" "$work/readme.c" "$out"
    "$cmake" -S "$out" -B "$out/b" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc" \
        -DCMAKE_CXX_COMPILER="$cxx"
    "$cmake" --build "$out/b"
    bin=$out/b
    ;;
pkgconfig)
    export PKG_CONFIG_PATH
    PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name memdb.pc)")
    read -ra flags <<<"$(pkg-config --cflags memdb)"
    read -ra shared <<<"$(pkg-config --libs memdb)"
    read -ra static <<<"$(pkg-config --static --libs memdb)"
    static=("${static[@]/#-lmemdb/-l:libmemdb.a}")
    bin=$out
    "$cc" -std=c17 -Wall -Wextra -Werror "${flags[@]}" "$here/consumer.c" -o "$bin/consumer_c" "${shared[@]}"
    "$cxx" -std=c++17 -Wall -Wextra -Werror "${flags[@]}" "$here/consumer.cpp" -o "$bin/consumer_cpp" "${shared[@]}"
    "$cc" -std=c17 -Wall -Wextra -Werror "${flags[@]}" "$here/consumer.c" -o "$bin/consumer_static" "${static[@]}"
    "$cc" -std=c17 -Wall -Wextra -Werror "${flags[@]}" "$work/readme.c" -o "$bin/readme" "${shared[@]}"
    ;;
*)
    echo "unknown way $way" >&2
    exit 2
    ;;
esac

export LD_LIBRARY_PATH
LD_LIBRARY_PATH=$(dirname "$(find "$prefix" -name libmemdb.so)")
cd "$work"
for program in consumer_c consumer_cpp consumer_static; do
    echo "== $program"
    "$bin/$program" "$work/$program.memdb"
done
if ldd "$bin/consumer_static" | grep libmemdb; then
    echo "consumer_static is linked with the shared library" >&2
    exit 1
fi
echo "== the installed shell"
env -u LD_LIBRARY_PATH "$prefix/bin/memdb" "$work/consumer_c.memdb" get first
echo "== README.md's program"
answer=$("$bin/readme")
echo "$answer"
case $answer in
*"Ann moved to Lisbon in May"*) ;;
*) exit 1 ;;
esac
