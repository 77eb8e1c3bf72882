#!/usr/bin/env python3
"""Small tokenizers of each kind, a corpus, and the ids that the packages `tokenizers` and `tiktoken` give for it.

    python3 -m venv VENV && VENV/bin/pip install tokenizers tiktoken numpy
    VENV/bin/python tests/goldens/tokenizers.py                       # writes tests/goldens/tokenizers/
    VENV/bin/python tests/goldens/tokenizers.py --real llama3 FILE... # compares `llama3 tokenize` on real vocabularies

Needed to build, run or test: no. The second form takes tokenizer.json files, and tiktoken's ranks as FILE:NAME with NAME
one of the patterns below; packages of the registry carry such files. It encodes the corpus and a large random text.
"""
import argparse
import base64
import json
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import unicodedata

sys.path.pop(0)  # this file is called as the package
HERE = pathlib.Path(__file__).resolve().parent / "tokenizers"

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
QWEN = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
CASED = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
CL100K = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|"
          r"\s+(?!\S)|\s")
DEEPSEEK = [r"\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
            "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|"
            " ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"]
PATTERNS = {"gpt2": GPT2, "llama3": LLAMA3, "qwen": QWEN, "cl100k": CL100K, "o200k": CASED}

SENTENCES = [
    "The quick brown fox jumps over the lazy dog. It's 1234567 o'clock, isn't it? I'LL go, we've gone, THEY'RE here.",
    "def f(x):\n    return {'a': [x ** 2, -1.5e-3], \"b\": None}  # a comment\n\n\n\tif x != 0 and y >= 1:\n\t\tpass\n",
    "Фёдор, съешь же ещё этих мягких французских булок, да выпей чаю! 12345", "Ελληνικά ΑΒΓ άέή ΐ ΣΑΣ",
    "天地玄黄，宇宙洪荒。日月盈昃，辰宿列张。2024年5月17日", "いろはにほへと ちりぬるを カタカナ ｶﾀｶﾅ 東京都 ガ か\u3099",
    "다람쥐 헌 쳇바퀴에 타고파 한글 3개 \u1112\u1161\u11ab", "نص عربي مع أرقام ١٢٣٤ و علامات ترقيم؟ مَدْرَسَة", "שלום עולם מה שלומך",
    "हिन्दी में कुछ पाठ १२३ क्षत्रिय", "ภาษาไทยไม่มีช่องว่าง ๑๒๓", "Tiếng Việt có dấu: Nguyễn Tấn Dũng", "ქართული ენა Հայերեն தமிழ் மொழி",
    "e\u0301 a\u0308 o\u0302\u0323 o\u0323\u0302 \u1e9b\u0323 ﬁ ﬃ ½ Å Ω K \u212b ſ 'ſ 'S 'LL x'ſt İI ß ẞ ǅ",
    "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇩🇪🇫🇷 ☺️ 🤷🏿‍♀️ 𝕳𝖊𝖑𝖑𝖔 🫠🫥", "🎉🎉🎉🎉🎉 🔥🔥 1️⃣2️⃣ ©®™ ♠♥♦♣ →⇒∀∃ x²+y₂ ⅷ Ⅻ ①②",
    " \u00a0\u1680\u180e\u2000\u2003\u2028\u2029\u202f\u205f\u3000\u200b\ufeff \t\t\n\n  \r\n \r x   y\x0b\x0c\x1c\x85z ",
    "   \n  \n\n \t \n   leading\n\n\n   and trailing   ", "a" * 70 + " " * 40 + "!" * 33 + "1" * 31 + "\n" * 9, "\x00\x01\x7f\u0080\u00ad\ud7ff\ue000\ufffd\uffff\U0010ffff",
    "https://example.com/a/b?c=d&e=%20#f user@example.com $1,234.56 -- 50% <b>x</b> {{y}} [[z]] \\n ~`|^", "''' 's 't 're' 'VE ''ll I'd've",
    "", " ", "\n", "  ", "x", " x", "x ", "é", "\u0301", "\u0301x", "'", "\r\n", "\n x", "\u3000字",
]
TOKENS = ["<|endoftext|>", "<|begin_of_text|>", "<|im_start|>", "<think>", "<mask>", "<pad>", "ing", "<s>"]


def corpus():
    draw = random.Random(7)
    # What Unicode 14 has: later characters may have other classes elsewhere.
    points = [c for c in range(0x110000) if unicodedata.category(chr(c)) not in ("Cn", "Cs")]
    texts = list(SENTENCES)
    for _ in range(25):
        texts.append("".join(chr(draw.choice(points)) for _ in range(draw.randint(1, 24))))
    pieces = [w for s in SENTENCES for w in s.split(" ")] + ["\n", " ", "  ", "\t", "'s", "12", "\u0301", "\u200d", "'", "\r\n"]
    for _ in range(50):
        texts.append("".join(draw.choice(pieces)[:20] + draw.choice(["", "", " ", "  ", "\n"]) for _ in range(draw.randint(2, 14))))
    for _ in range(25):
        texts.append("".join(draw.choice(TOKENS + pieces)[:24] + draw.choice(["", " ", "  "]) for _ in range(draw.randint(2, 8))))
    return texts


def small_tokenizers():
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    byte_level = lambda use=False: pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use)
    split = lambda p: pre_tokenizers.Split(Regex(p), "isolated")
    text = SENTENCES * 3 + [w for s in SENTENCES for w in s.split()] * 2

    def trained(pre, size, normalizer=None, **model):
        t = Tokenizer(models.BPE(**{k: v for k, v in model.items() if k != "alphabet"}))
        if pre is not None:
            t.pre_tokenizer = pre
        if normalizer is not None:
            t.normalizer = normalizer
        special = [s for s in [model.get("unk_token")] if s] + model.get("alphabet", [])
        t.train_from_iterator(text, trainers.BpeTrainer(vocab_size=size, show_progress=False, special_tokens=special,
                              initial_alphabet=[] if "unk_token" in model else pre_tokenizers.ByteLevel.alphabet()))
        if "unk_token" not in model:
            t.decoder = decoders.ByteLevel()
        return t

    seq = pre_tokenizers.Sequence
    out = {}
    t = out["gpt2"] = trained(byte_level(True), 460)
    t.add_special_tokens(["<|endoftext|>"])
    t = out["llama3"] = trained(seq([split(LLAMA3), byte_level()]), 520, ignore_merges=True)
    t.add_special_tokens(["<|begin_of_text|>", "<|end_of_text|>"])
    t.post_processor = processors.TemplateProcessing("<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", t.token_to_id("<|begin_of_text|>"))])
    t = out["qwen"] = trained(seq([split(QWEN), byte_level()]), 480, normalizers.NFC())
    t.add_special_tokens(["<|endoftext|>", "<|im_start|>"])
    t.add_tokens([AddedToken("<think>", normalized=False), AddedToken("caf\u00e9", normalized=True)])
    t = out["deepseek"] = trained(seq([*map(split, DEEPSEEK), byte_level()]), 480, normalizers.Sequence([]))
    t.add_special_tokens(["<\uff5cbegin\u2581of\u2581sentence\uff5c>", "<\uff5cend\u2581of\u2581sentence\uff5c>"])
    out["llama4"] = trained(seq([split(CASED), byte_level()]), 440)
    # As Llama 2's: characters, and bytes for those that are no token.
    fallback = [f"<0x{b:02X}>" for b in range(256)]
    t = out["byte_fallback"] = trained(None, 560, normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]),
                                       unk_token="<unk>", fuse_unk=True, byte_fallback=True, alphabet=["<s>", "</s>"] + fallback)
    t.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    # All that the others do not have.
    t = out["words"] = trained(seq([pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.Punctuation("isolated")]), 300,
                               normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()]), unk_token="<unk>", alphabet=[])
    t.add_tokens([AddedToken("<mask>", lstrip=True), AddedToken("<pad>", rstrip=True, normalized=False), AddedToken("ing", single_word=True),
                  AddedToken("THE", normalized=True)])
    return out


def as_ranks(ranks):
    return "".join(f"{base64.b64encode(token).decode()} {rank}\n" for token, rank in sorted(ranks.items(), key=lambda x: x[1]))


def write():
    import tiktoken
    HERE.mkdir(exist_ok=True)
    texts, ids = corpus(), {}
    for name, t in small_tokenizers().items():
        d = json.loads(t.to_str())
        if name in ("gpt2", "words"):  # the older notation of merges
            d["model"]["merges"] = [" ".join(m) for m in d["model"]["merges"]]
        (HERE / f"{name}.json").write_text(json.dumps(d, ensure_ascii=False, separators=(",", ":")), encoding="utf8")
        if name == "llama4":
            of = {c: b for b, c in byte_alphabet().items()}
            ranks = {bytes(of[c] for c in k): v for k, v in d["model"]["vocab"].items()}
            (HERE / "ranks.tiktoken").write_text(as_ranks(ranks))
            (HERE / "ranks.tiktoken.pattern").write_text(CASED + "\n")
            ids["ranks.tiktoken"] = [*map(tiktoken.Encoding("x", pat_str=CASED, mergeable_ranks=ranks, special_tokens={}).encode_ordinary, texts)]
        ids[f"{name}.json"] = [t.encode(s, add_special_tokens=False).ids for s in texts]
    (HERE / "corpus.json").write_text(json.dumps({"texts": texts, "ids": ids}, separators=(",", ":")))
    print("\n".join(f"{f.stat().st_size:8d} {f.name}" for f in sorted(HERE.iterdir())))


def byte_alphabet():
    prints = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in prints]
    return {**{b: chr(b) for b in prints}, **{b: chr(256 + i) for i, b in enumerate(others)}}


def compare(program, files):
    import numpy as np
    import tiktoken
    from tokenizers import Tokenizer
    draw = random.Random(11)
    texts = [t for t in corpus() if "<|" not in t and "<\uff5c" not in t]
    words = [w for s in texts for w in s.split(" ")]
    large = "".join(draw.choice(words) + draw.choice(["", " ", " ", "  ", "\n", "\n\n"]) for _ in range(200000))
    points = [c for c in range(0x110000) if unicodedata.category(chr(c)) not in ("Cn", "Cs")]
    random_points = "".join(chr(draw.choice(points)) for _ in range(200000))
    sources = ["\n".join(texts), "".join(texts[::-1]), large, random_points, "aA1! \n"[:5] * 20000 + "a" * 100000 + " " * 100000]
    failed = 0
    for file in files:
        file, _, pattern = file.partition(":")
        if pattern:
            ranks = {base64.b64decode(t): int(r) for t, r in (l.split() for l in open(file, "rb") if l.strip())}
            encoding = tiktoken.Encoding(pattern, pat_str=PATTERNS[pattern], mergeable_ranks=ranks, special_tokens={})
            encode = encoding.encode_ordinary
        else:
            t = Tokenizer.from_file(file)
            encode = lambda s: t.encode(s, add_special_tokens=False).ids
        tokens = bytes_in = differ = 0
        with tempfile.TemporaryDirectory() as folder:
            source, out = f"{folder}/text", f"{folder}/ids.safetensors"
            for text in sources:
                pathlib.Path(source).write_bytes(text.encode())
                subprocess.run([program, "tokenize", "--tokenizer", file, "--input", source, "--output", out], check=True,
                               stdout=subprocess.DEVNULL)
                raw = pathlib.Path(out).read_bytes()
                ours = np.frombuffer(raw, np.int32, offset=8 + struct.unpack("<Q", raw[:8])[0])
                theirs = np.array(encode(text), np.int32)
                differ += not np.array_equal(ours, theirs)
                tokens, bytes_in = tokens + len(theirs), bytes_in + len(text.encode())
        failed += differ > 0
        print(f"{pathlib.Path(file).name}: {bytes_in} bytes, {tokens} tokens, {differ} of {len(sources)} texts differ", flush=True)
    sys.exit(failed > 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--real", nargs="+", metavar=("PROGRAM", "FILE"))
    arguments = parser.parse_args()
    compare(arguments.real[0], arguments.real[1:]) if arguments.real else write()
