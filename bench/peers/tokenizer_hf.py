"""The tokenizers library on the text that bench_tokenizer reads: MB/s of one thread, and the same digest of the ids.

    python bench/peers/tokenizer_hf.py TOKENIZER.json TEXT [ROUNDS = 5]
"""
import os
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
from tokenizers import Tokenizer, __version__


def pieces(data, size=4096):
    at, n = 0, len(data)
    while at < n:
        end = min(at + size, n)
        line = data.find(b"\n", end) if end < n else -1
        end = line + 1 if line >= 0 else n
        yield data[at:end].decode()
        at = end


def main():
    path, file, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 5
    start = time.perf_counter()
    tokenizer = Tokenizer.from_file(os.path.join(path, "tokenizer.json") if os.path.isdir(path) else path)
    opened = time.perf_counter() - start
    data = open(file, "rb").read()
    rows = list(pieces(data))
    best, best_batch = 1e300, 1e300
    for _ in range(rounds):
        start = time.perf_counter()
        done = [tokenizer.encode(row, add_special_tokens=False) for row in rows]
        best = min(best, time.perf_counter() - start)
        start = time.perf_counter()
        tokenizer.encode_batch_fast(rows, add_special_tokens=False)
        best_batch = min(best_batch, time.perf_counter() - start)
    total, tokens = 0, 0
    for row in done:
        for i in row.ids:
            total = (total * 31 + i) & 0xFFFFFFFFFFFFFFFF
        tokens += len(row.ids)
    total ^= tokens << 40 & 0xFFFFFFFFFFFFFFFF
    print(f"tokenizers {__version__}: encode {len(data) * 1e-6 / best:.1f} MB/s, encode_batch_fast "
          f"{len(data) * 1e-6 / best_batch:.1f} MB/s (opened in {opened:.3f} s, ids {total:016x})")


main()
