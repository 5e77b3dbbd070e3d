#!/usr/bin/env python3
"""Writes Sources/Runtime/Tokenizer/UnicodeTables.swift: what Hugging Face's tokenizers knows about Unicode and the
libraries under us know otherwise. Needs: tokenizers, libpcre2-8 of Unicode 14 (10.40 to 10.42).

  * Characters that came with Unicode 15 and 16. tokenizers' regex engine (Oniguruma) knows them, PCRE2 10.42 does not;
    asked of the two engines themselves.
  * Canonical decompositions (UAX 15), from Python's unicodedata, for the characters that tokenizers' NFC composes or
    decomposes; asked of tokenizers too.
"""
import ctypes
import ctypes.util
import pathlib
import unicodedata

from tokenizers import normalizers, pre_tokenizers, Regex

ROOT = pathlib.Path(__file__).resolve().parents[3]
SCALARS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf".split()
SCRIPTS = "Han Hiragana Katakana Hangul Latin Cyrillic Greek Arabic Hebrew Thai".split()


def ranges(scalars):
    runs = []
    for c in sorted(scalars):
        if runs and runs[-1][1] == c - 1:
            runs[-1][1] = c
        else:
            runs.append([c, c])
    return runs


def oniguruma(name):
    """The scalars that \\p{name} matches in tokenizers."""
    found = set()
    splitter = pre_tokenizers.Split(Regex(r"\p{%s}+" % name), "isolated")
    text = "".join(map(chr, SCALARS))
    inverse = pre_tokenizers.Split(Regex(r"\p{%s}+" % name), "removed")
    kept = set()
    for piece, _ in inverse.pre_tokenize_str(text):
        kept.update(map(ord, piece))
    del splitter
    found = set(SCALARS) - kept
    return found


def pcre2(name):
    """The scalars that \\p{name} matches in PCRE2."""
    library = ctypes.CDLL(ctypes.util.find_library("pcre2-8"))
    for function in ("pcre2_compile_8", "pcre2_match_data_create_8", "pcre2_get_ovector_pointer_8"):
        getattr(library, function).restype = ctypes.c_void_p
    library.pcre2_get_ovector_pointer_8.restype = ctypes.POINTER(ctypes.c_size_t)
    utf, ucp, no_check = 0x80000, 0x20000, 0x40000000
    pattern = (r"\p{%s}+" % name).encode()
    code, offset = ctypes.c_int(), ctypes.c_size_t()
    compiled = library.pcre2_compile_8(
        pattern, ctypes.c_size_t(len(pattern)), utf | ucp, ctypes.byref(code), ctypes.byref(offset), None)
    assert compiled, (name, code.value)
    data = library.pcre2_match_data_create_8(1, None)
    text = "".join(map(chr, SCALARS)).encode()
    found, start = set(), 0
    while library.pcre2_match_8(
            ctypes.c_void_p(compiled), text, ctypes.c_size_t(len(text)), ctypes.c_size_t(start), no_check,
            ctypes.c_void_p(data), None) > 0:
        ends = library.pcre2_get_ovector_pointer_8(ctypes.c_void_p(data))
        begin, start = ends[0], ends[1]
        found.update(map(ord, text[begin:start].decode()))
    return found


def newer():
    lines = []
    for name in CATEGORIES + SCRIPTS:
        key = name if name in CATEGORIES else "sc:" + name
        added = ranges(oniguruma(name) - pcre2(key))
        if added:
            text = "".join(r"\x{%x}" % a if a == b else r"\x{%x}-\x{%x}" % (a, b) for a, b in added)
            lines += [f'        "{name}":'] + wrap(text, "            ", joined=True)
            lines[-1] += ","
    return lines


def wrap(text, indent, joined, width=100):
    """A long raw string literal in pieces joined by +, cut between escapes."""
    pieces, line = [], ""
    for item in text.replace(r"\x", "\0\\x").split("\0"):
        if len(line) + len(item) > width:
            pieces.append(line)
            line = ""
        line += item
    pieces.append(line)
    return [f'{indent}{"+ " if i else ""}#"{piece}"#' for i, piece in enumerate(pieces)]


def decompositions():
    nfc, nfd = normalizers.NFC(), normalizers.NFD()
    entries = []
    for c in SCALARS:
        parts = unicodedata.decomposition(chr(c))
        if not parts or parts.startswith("<") or 0xAC00 <= c < 0xD7A4:
            continue
        if nfd.normalize_str(chr(c)) == chr(c):
            continue  # newer than the tables of tokenizers
        assert nfd.normalize_str(chr(c)) == unicodedata.normalize("NFD", chr(c))
        composes = nfc.normalize_str(unicodedata.normalize("NFD", chr(c))) == chr(c)
        entries.append(f"{c:X}{'=' if composes else '!'}{'+'.join(f'{int(p, 16):X}' for p in parts.split())}")
    lines, line = [], ""
    for entry in entries:
        if len(line) + len(entry) > 110:
            lines.append(line.rstrip())
            line = ""
        line += entry + " "
    return lines + [line.rstrip()]


def main():
    out = [
        "// Made by Tests/Fixtures/tokenizers/unicode.py, which says how. Do not edit.",
        "",
        "enum UnicodeTables {",
        "    /// General category or script → the characters of Unicode 15 and 16, as members of a PCRE2 class.",
        "    static let sinceUnicode15: [String: String] = [",
        *newer(),
        "    ]",
        "",
        "    /// Canonical decompositions without Hangul: composed=first+second; with ! in place of = where the parts are",
        "    /// not put together again.",
        '    static let decompositions = """',
        *["        " + line for line in decompositions()],
        '        """',
        "}",
    ]
    (ROOT / "Sources/Runtime/Tokenizer/UnicodeTables.swift").write_text("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
