#!/usr/bin/env bash
# The C programs under AddressSanitizer, ThreadSanitizer and valgrind: `make sanitize`. The library is the ordinary one, built
# without instrumentation, so this is what each of them shows:
#
# - AddressSanitizer: no program touches memory that the library freed or never gave (its malloc and free are watched, and
#   what the program reads and writes); at the end nothing that either of them allocated is lost.
# - ThreadSanitizer: the program's own code, callbacks included, runs free of races, so nothing that the library gives to one
#   thread is touched from another, and no callback runs beside the thread that waits. Inside the library it sees nothing.
# - valgrind: every load and store of the library and of ONNX Runtime too, and every leak.
set -euo pipefail
cd "$(dirname "$0")/../.."

out=target/sanitize
libraries=$PWD/target/debug/deps
mkdir -p "$out"
# The program at the top of the header.
awk '/^\/\/     #include/ { on = 1 } on && !/^\/\/(     |$)/ { exit } on { print substr($0, 8) }' include/fleming.h >"$out/program.c"

build() { # NAME SOURCE FLAG...
  cc -std=c11 -D_DEFAULT_SOURCE -Wall -Wextra -Werror -pedantic -g "${@:3}" -Iinclude "$2" -o "$out/$1" \
    -L"$libraries" -lfleming -lpthread -Wl,-rpath,"$libraries"
}

demo=(models/demo examples/chest.png)
small=(models/synthetic examples/generated/inputs/chest.png)
use=("${demo[@]}" examples/volume.npz examples/clip.mp4 "$out/session")
inputs=("${demo[@]}" examples/chest_ct examples/chest.nii.gz "$out/sheet.png")
question='Is there a nodule, and on which side?'

address() {
  build program.asan "$out/program.c" -fsanitize=address,undefined
  build misuse.asan tests/capi/misuse.c -fsanitize=address,undefined
  build use.asan tests/capi/use.c -fsanitize=address,undefined
  for name in tokens loop life growth told; do build $name.asan tests/capi/$name.c -fsanitize=address,undefined; done
  build inputs.asan tests/capi/inputs.c -fsanitize=address,undefined
  export ASAN_OPTIONS=detect_leaks=1
  "$out/program.asan" "${demo[@]}" "$question"
  "$out/misuse.asan" "${small[@]}"
  "$out/use.asan" "${use[@]}"
  "$out/tokens.asan" "${demo[@]}"
  "$out/told.asan" "${demo[@]}"
  "$out/loop.asan" "${small[@]}"
  "$out/life.asan" "${small[@]}"
  "$out/growth.asan" "${small[@]}" 200
  "$out/inputs.asan" "${inputs[@]}"
}

thread() {
  build threads.tsan tests/capi/threads.c -fsanitize=thread
  build loop.tsan tests/capi/loop.c -fsanitize=thread
  export TSAN_OPTIONS='ignore_noninstrumented_modules=1 halt_on_error=1'
  "$out/threads.tsan" "${small[@]}" 16 200
  "$out/loop.tsan" "${small[@]}"
}

memory() {
  build program.plain "$out/program.c"
  for name in misuse loop life; do build $name.plain tests/capi/$name.c; done
  check=(valgrind --quiet --error-exitcode=9 --leak-check=full --show-leak-kinds=definite,indirect
    --errors-for-leak-kinds=definite,indirect --suppressions=tests/capi/valgrind.supp)
  "${check[@]}" "$out/program.plain" "${demo[@]}" "$question"
  for name in misuse loop life; do "${check[@]}" "$out/$name.plain" "${small[@]}"; done
}

[ $# -gt 0 ] || set -- address thread memory
for part; do
  echo "── $part"
  time "$part"
done
