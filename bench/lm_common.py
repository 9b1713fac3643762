"""What the rows of compare_lm.py share: models and texts of a row, calls of both sides, ratios and bars."""
import glob
import json
import os
import subprocess

from compare import HERE, ROOT, alternate, median, run

SMOLLM2 = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 49152, "hidden_size": 576,
           "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
           "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 1e5}
QWEN25 = {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "vocab_size": 151936, "hidden_size": 896,
          "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2,
          "max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "rope_theta": 1e6}


class Skip(Exception):
    """A row cannot run here, and why."""


# ---- models and texts --------------------------------------------------------------------------------------------

def tensors(config):
    """Name -> shape, as Transformers names them."""
    hidden, inner, head = config["hidden_size"], config["intermediate_size"], 64
    kv = config["num_key_value_heads"] * head
    shapes = {"model.embed_tokens.weight": [config["vocab_size"], hidden], "model.norm.weight": [hidden]}
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}."
        for name, rows, columns in (("self_attn.q_proj", hidden, hidden), ("self_attn.k_proj", kv, hidden),
                                    ("self_attn.v_proj", kv, hidden), ("self_attn.o_proj", hidden, hidden),
                                    ("mlp.gate_proj", inner, hidden), ("mlp.up_proj", inner, hidden),
                                    ("mlp.down_proj", hidden, inner)):
            shapes[layer + name + ".weight"] = [rows, columns]
            if config["model_type"] == "qwen2" and name[-6:] in ("q_proj", "k_proj", "v_proj"):
                shapes[layer + name + ".bias"] = [rows]
        shapes[layer + "input_layernorm.weight"] = [hidden]
        shapes[layer + "post_attention_layernorm.weight"] = [hidden]
    return shapes


def random_bf16(count):
    """Bytes of numbers of both signs with sizes between 2^-9 and 2^-6: about the spread of N(0, 0.02^2)."""
    data = bytearray(2 * count)
    data[0::2] = os.urandom(count)
    data[1::2] = os.urandom(count).translate(bytes((0x3B, 0x3C, 0xBB, 0xBC)[i & 3] for i in range(256)))
    return data


def write_model(folder, config, layers, words=None):
    """A model folder with random bf16 weights, tied embedding; returns the weights' bytes. Rows of the embedding from `words`
    on are 0, so that the likeliest token is one that a tokenizer of so many has a text for."""
    config = dict(config, hidden_act="silu", tie_word_embeddings=True, initializer_range=0.02, torch_dtype="bfloat16",
                  attention_bias=False, mlp_bias=False, attention_dropout=0.0, bos_token_id=0, eos_token_id=0)
    if config["model_type"] == "qwen2":
        for key in ("attention_bias", "mlp_bias"):
            del config[key]
    if layers:
        config["num_hidden_layers"] = layers
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file)
    header, at = {"__metadata__": {"format": "pt"}}, 0
    sizes = {}
    for name, shape in tensors(config).items():
        sizes[name] = shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + 2 * sizes[name]]}
        at += 2 * sizes[name]
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(folder, "model.safetensors"), "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, size in sizes.items():
            live = words * config["hidden_size"] if words and "embed_tokens" in name else size
            file.write(b"\x80\x3f" * size if "norm" in name else random_bf16(live) + bytes(2 * (size - live)))
    return at


def write_text(path, least=0):
    """The repository's own pages and sources, repeated up to `least` bytes."""
    names = sorted(glob.glob(os.path.join(ROOT, "*.md")) + glob.glob(os.path.join(ROOT, "docs", "*.md")) +
                   glob.glob(os.path.join(ROOT, "src", "**", "*.[ch]"), recursive=True))
    data = b"".join(open(name, "rb").read() for name in names)
    if not data:
        raise Skip("found no texts in the repository: give --tokenizer and --text")
    with open(path, "wb") as file:
        file.write(data * max(1, -(-least // len(data))))


def make_tokenizer(args, folder, family, size):
    """tokenizer.json of a tokenizer learned from the repository's text, in `folder`; returns its tokens' number."""
    text = os.path.join(folder, "learn.txt")
    write_text(text)
    run([args.rein, "tokenizer", "train", "--data", text, "--vocab_size", str(size), "--family", family, "--out", folder])
    with open(os.path.join(folder, "tokenizer.json"), encoding="utf-8") as file:
        return len(json.load(file)["model"]["vocab"])


# ---- programs ----------------------------------------------------------------------------------------------------

def program(args, name):
    path = os.path.join(os.path.dirname(args.rein), "bench", name)
    if not os.access(path, os.X_OK):
        raise Skip(f"{path} is not there: cmake --build {os.path.dirname(args.rein)} --target benchmarks")
    return path


def peer_lacks(args, *modules):
    """Why the peer cannot run, or None."""
    if not args.python:
        return "no --python and no REIN_PEER_LM_PYTHON"
    code = "import importlib.util as u, sys; print(*[m for m in sys.argv[1:] if u.find_spec(m) is None])"
    try:
        done = subprocess.run([args.python, "-c", code, *modules], capture_output=True, text=True, check=False)
    except OSError as error:
        return f"{args.python}: {error.strerror}"
    missing = done.stdout.split()
    if done.returncode != 0:
        return f"{args.python} fails: {done.stderr.strip()[-200:]}"
    return f"{args.python} lacks {', '.join(missing)}" if missing else None


def python(args, script, *words):
    threads = str(args.threads)
    wall, text = run([args.python, "-W", "ignore", os.path.join(HERE, "peers", script), *words], OMP_NUM_THREADS=threads,
                     MKL_NUM_THREADS=threads, HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error")
    return wall, text


def last_json(text):
    return json.loads(text.strip().splitlines()[-1])


def race(args, ours, theirs, *modules):
    """Alternating runs of both; the peer only where its modules are. Returns what the row's record holds."""
    lacks = peer_lacks(args, *modules)
    variants = {"rein": ours} if lacks else {"rein": ours, "peer": theirs}
    result = {"runs": alternate(args.runs, variants)}
    if lacks:
        result["peer_skipped"] = lacks
    return result


def ratio(result, key, over="rein", under="peer"):
    """Median of one side by the other's, None where one is missing."""
    a, b = (median(result["runs"].get(side, []), key) for side in (over, under))
    return a / b if a and b else None


def bar(result, text, value, least=None, most=None):
    """A line of the row's report: the value and whether it reaches its bar; without a bar just the value."""
    entry = {"what": text, "value": value}
    if least is not None or most is not None:
        entry["bar"] = least if least is not None else most
        entry["sense"] = "at least" if least is not None else "at most"
        entry["met"] = None if value is None else bool(value >= least if least is not None else value <= most)
    result.setdefault("bars", []).append(entry)
