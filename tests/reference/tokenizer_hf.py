"""Tokenizers of every family, trained and run by the `tokenizers` library, for tests/golden/test_tokenizer_golden.c.

    python tests/reference/tokenizer_hf.py [OUT = tests/golden]

Writes tokenizer_strings.txt (one string per line: \\\\ \\n \\r and \\xHH for control characters), and for each family
tokenizer_FAMILY.json (small, trained here) and tokenizer_FAMILY.txt: per string the FNV-1a of its ids and of what they
decode to, then the same for lists of random ids, then full ids of the first strings. Code points are those of Unicode 14.
Also tokenizer_train.txt: a text, and the merges that the library's trainer learns from it, for `rein tokenizer train`.
"""
import itertools
import json
import pydoc
import random
import sys
import tempfile
import unicodedata
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

assert unicodedata.unidata_version == "14.0.0", unicodedata.unidata_version

SENTENCES = """The quick brown fox jumps over the lazy dog; it's what they'd've said in 1984, isn't it?
Der Fluß fließt über Äcker und Öde, während 12 Jäger grüßen: „Schöne Grüße!“
L'été dernier, nous avons mangé des crêpes à Besançon — c'était déjà ça, n'est-ce pas ?
El niño pidió 3,14 piñatas; ¿por qué no llovió mañana? ¡Olé!
Быстрая лиса перепрыгнула через ленивую собаку 25 января 2023 года, а потом ушла домой.
Η γρήγορη αλεπού πηδάει πάνω από το σκύλο· ποιος ξέρει γιατί;
快速的棕色狐狸跳过了懒狗。今天天气很好，我们去公园散步吧！价格是１２３元。
日本語の文章です。カタカナとひらがなと漢字が混ざっています。「はい」と言った。
한국어 문장은 띄어쓰기가 있습니다. 오늘은 날씨가 좋네요, 그렇죠?
السرعة مهمة جداً في البرامج، ولكن الدقة أهم منها ١٢٣٤.
השועל החום המהיר קופץ מעל הכלב העצלן בשנת 2021.
तेज़ भूरी लोमड़ी आलसी कुत्ते के ऊपर कूदती है। १२३ रुपये।
สุนัขจิ้งจอกสีน้ำตาลกระโดดข้ามสุนัขขี้เกียจ ราคา ๑๒๓ บาท
Con cáo nâu nhanh nhẹn nhảy qua con chó lười biếng vào năm 1999.
Szybki brązowy lis przeskoczył nad leniwym psem; zażółć gęślą jaźń.
Hızlı kahverengi tilki tembel köpeğin üstünden atladı, İstanbul'da ışık vardı.
def f(x, y=None):\n\treturn {"a": x**2 + 1, 'b': [y] * 10}  # comment
#include <stdio.h>\nint main(void) {\n    for (int i = 0; i < 10; i++)\n        printf("%d\\n", i);\n}
👩‍👩‍👧‍👦 family emoji 🇩🇪 flags 🤷🏽‍♀️ and ❤️ hearts ⅷ ² ½ ㊿ 🄀""".replace("\\n", "\n").split("\n")

SPECIAL = {
    "gpt2": ["<|endoftext|>"],
    "llama3": ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
    "qwen2": ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
    "smollm2": ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
    "mixed": ["<s>", "</s>"],
}
CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + REST
QWEN2 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + REST
# no family's, so that the general path is taken
MIXED = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def pipeline(family):
    t = Tokenizer(models.BPE())
    level = pre_tokenizers.ByteLevel
    if family == "gpt2":
        t.pre_tokenizer = level(add_prefix_space=False)
        t.post_processor = processors.ByteLevel(trim_offsets=True)
    elif family == "smollm2":
        t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                                   level(add_prefix_space=False)])
    else:
        pattern = {"llama3": LLAMA3, "qwen2": QWEN2, "mixed": MIXED}[family]
        t.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(pattern), "isolated"), level(add_prefix_space=family == "mixed", use_regex=False)])
    if family in ("qwen2", "mixed"):
        t.normalizer = normalizers.NFC()
    t.decoder = decoders.ByteLevel()
    return t


def corpus():
    rng = random.Random(1)
    lines = list(SENTENCES) * 8
    for module in ("random", "json", "argparse", "unicodedata", "pathlib"):
        lines += pydoc.render_doc(__import__(module), renderer=pydoc.plaintext).split("\n")[:400]
    words = [w for s in SENTENCES for w in s.split(" ")]
    lines += [" ".join(rng.choice(words) for _ in range(12)) for _ in range(600)]
    return [line + "\n" for line in lines]


def train(family, lines):
    t = pipeline(family)
    trainer = trainers.BpeTrainer(vocab_size={"mixed": 900}.get(family, 1500), special_tokens=SPECIAL[family],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    t.train_from_iterator(lines, trainer)
    data = json.loads(t.to_str())
    if family == "llama3":
        data["model"]["ignore_merges"] = True
        # whole words that no merges lead to, as the published vocabulary has
        for word in ("Ġhexagonal", "Zebra", "ĊĊĊĊĊĊĊ"):
            data["model"]["vocab"][word] = len(data["model"]["vocab"])
    if family in ("gpt2", "smollm2"):
        data["model"]["merges"] = [" ".join(m) for m in data["model"]["merges"]]
    if family == "gpt2":
        data["model"].update(continuing_subword_prefix="", end_of_word_suffix="", unk_token="")
    t = Tokenizer.from_str(json.dumps(data))
    if family == "llama3":
        bos = t.token_to_id("<|begin_of_text|>")
        t.post_processor = processors.Sequence([
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(single="<|begin_of_text|> $A", pair="<|begin_of_text|> $A <|begin_of_text|> $B:1",
                                          special_tokens=[("<|begin_of_text|>", bos)])])
        t.add_special_tokens([f"<|reserved_special_token_{i}|>" for i in range(8)])
    if family == "qwen2":
        t.add_special_tokens(["<|object_ref_start|>", "<|vision_pad|>"])
        t.add_tokens([AddedToken("<tool_call>", normalized=False), AddedToken("</tool_call>", normalized=False),
                      AddedToken("<think>", normalized=False)])
        t.post_processor = processors.ByteLevel(trim_offsets=False)
    if family == "mixed":
        t.add_special_tokens([AddedToken("<mask>", lstrip=True), AddedToken("<cls>", rstrip=True)])
        t.add_tokens([AddedToken("word", single_word=True), AddedToken("caf\u00e9", normalized=True),
                      AddedToken("cafe", normalized=False), AddedToken("ab", normalized=False),
                      AddedToken("abc d", normalized=False, lstrip=True, rstrip=True), AddedToken("\u00c5ng", single_word=True)])
        t.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[
            ("<s>", t.token_to_id("<s>")), ("</s>", t.token_to_id("</s>"))])
    data = json.loads(t.to_str())
    if family in ("gpt2", "smollm2"):
        data["model"]["merges"] = [" ".join(m) for m in data["model"]["merges"]]
    if family == "gpt2":
        data["model"].update(continuing_subword_prefix="", end_of_word_suffix="", unk_token="")
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def strings(n):
    rng = random.Random(2)
    assigned = [c for c in map(chr, range(0x110000)) if unicodedata.category(c) not in ("Cn", "Cs")]
    common = [c for c in assigned if ord(c) < 0x3000 and unicodedata.category(c) != "Co"]
    small = " \n\r\t'aAsStTlLdDmMvVrRe019.,!?-_\u00a0\u3000\u017f\u0301é\u0149½²ⅷ\u180e\u0085\u2028\u200b\x1c中日한\x00İß"
    contractions = ["'s", "'S", "'\u017f", "'ll", "'LL", "'lL", "'re", "'Ve", "'d", "'M", "’s", "'t'd", " 's", "''s"]
    spaces = [" ", "  ", "   ", "\n", "\r\n", "\n\n", " \n", "\n ", "\t", "\u00a0", "\u3000", " \r", "\u2028", "\u180e"]
    tokens = sorted({s for group in SPECIAL.values() for s in group}) + [
        "<|im_start", "<|", "<think>", "<tool_call>", "</tool_call>", "<mask>", "<cls>", "word", "sword", "word_", "cafe\u0301",
        "café", "cafe", "ab", "abc d", "abc", "<|reserved_special_token_3|>", "\u212bng", "A\u030ang", "Ångst"]
    words = [w for s in SENTENCES for w in s.split(" ") if w]
    numbers = ["0", "12", "345", "6789", "1234567890", "١٢٣", "१२", "３３", "½", "²", "ⅷ", "3.14", "1,000"]
    kinds = [
        lambda: rng.choice(SENTENCES),
        lambda: " ".join(rng.choice(words) for _ in range(rng.randint(1, 12))),
        lambda: "".join(rng.choice(small) for _ in range(rng.randint(1, 30))),
        lambda: "".join(rng.choice(common) for _ in range(rng.randint(1, 12))),
        lambda: "".join(rng.choice(assigned) for _ in range(rng.randint(1, 10))),
        lambda: "".join(rng.choice(rng.choice([contractions, spaces, words, numbers])) for _ in range(rng.randint(1, 12))),
        lambda: "".join(rng.choice(rng.choice([tokens, tokens, spaces, words])) for _ in range(rng.randint(1, 7))),
        lambda: unicodedata.normalize(rng.choice(["NFD", "NFKD", "NFC"]), " ".join(rng.choice(words) for _ in range(5))),
        lambda: rng.choice(small) * rng.randint(1, 60),
        lambda: "".join(chr(0x300 + rng.randrange(0x70)) if rng.random() < .5 else rng.choice("aeouAEOUsn가ᄀ\u1161\u11a8") for _ in range(9)),
    ]
    out = ["", " ", "a", "\x00", "hexagonal hexagonal", "Zebra", "\n" * 7, "\n" * 8, "x" * 300, "ab" * 200, "é" * 150, "中" * 120]
    seen = set(out)
    for turn in itertools.count():
        if len(out) == n:
            return out
        s = kinds[turn % len(kinds)]()
        if s not in seen:
            seen.add(s)
            out.append(s)


def escape(s):
    return "".join("\\\\" if c == "\\" else "\\n" if c == "\n" else "\\r" if c == "\r" else
                   f"\\x{ord(c):02x}" if ord(c) < 32 or ord(c) == 127 else c for c in s)


def fnv(data, h=0x811C9DC5):
    for b in data:
        h = (h ^ b) * 0x01000193 & 0xFFFFFFFF
    return h


def pack(ids):
    return b"".join(i.to_bytes(4, "little") for i in ids)


def rows(t, texts):
    for s in texts:
        t.encode_special_tokens = False
        full, bare = t.encode(s).ids, t.encode(s, add_special_tokens=False).ids
        t.encode_special_tokens = True
        plain = t.encode(s, add_special_tokens=False).ids
        ids = fnv(pack(full) + b"|" + pack(bare) + b"|" + pack(plain))
        text = t.decode(full, skip_special_tokens=True).encode() + b"|" + t.decode(full, skip_special_tokens=False).encode()
        yield f"{ids:08x} {fnv(text):08x}", full


def random_rows(t, n):
    """Ids of a linear congruence that the test repeats; some are beyond the vocabulary."""
    state, size = 1, t.get_vocab_size()
    for _ in range(n):
        ids = []
        for _ in range(12):
            state = (state * 1103515245 + 12345) & 0x7FFFFFFF
            ids.append((state >> 8) % (size + 2) if state & 0x10000 else (state >> 8) % 300)
        yield f"{fnv(t.decode(ids, skip_special_tokens=False).encode()):08x}"


def training_reference():
    rng = random.Random(3)
    words = [w for s in SENTENCES for w in s.split(" ") if w]
    text = "".join(" ".join(rng.choice(words) for _ in range(10)) + rng.choice(["\n", "\r\n", "  \n\n", " 's 42\n"])
                   for _ in range(120)) + "aaaaaaaaaa abababab abcabcabc  x"
    out = {}
    path = Path(tempfile.mkdtemp()) / "text.txt"
    path.write_bytes(text.encode())
    for family in ("gpt2", "llama3", "qwen2", "smollm2"):
        t = pipeline(family)
        trainer = trainers.BpeTrainer(vocab_size=700, special_tokens=SPECIAL[family], show_progress=False,
                                      initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
        t.train([str(path)], trainer)
        data = json.loads(t.to_str())
        out[family] = {"merges": [" ".join(m) for m in data["model"]["merges"]], "vocab": data["model"]["vocab"]}
    return text, out


def main():
    out = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent / "golden")
    lines, texts = corpus(), strings(5200)
    (out / "tokenizer_strings.txt").write_text("".join(escape(s) + "\n" for s in texts), newline="\n")
    for family in SPECIAL:
        data = train(family, lines)
        (out / f"tokenizer_{family}.json").write_text(data + "\n")
        t = Tokenizer.from_str(data)
        done = list(rows(t, texts))
        extra = list(random_rows(t, 600))
        body = [f"{len(done)} {len(extra)} 120"] + [row for row, _ in done] + extra
        body += [" ".join(map(str, ids)) for _, ids in done[:120]]
        (out / f"tokenizer_{family}.txt").write_text("\n".join(body) + "\n")
        print(family, t.get_vocab_size())
    text, learned = training_reference()
    (out / "tokenizer_train.txt").write_bytes(text.encode())
    # the vocabulary follows from the alphabet and the merges; its digest says so
    compact = {f: {"merges": v["merges"], "vocab": f"{fnv(chr(10).join(sorted(v['vocab'], key=v['vocab'].get)).encode()):08x}"}
               for f, v in learned.items()}
    (out / "tokenizer_train.json").write_text(json.dumps(compact, ensure_ascii=False, separators=(",", ":")) + "\n")


main()
