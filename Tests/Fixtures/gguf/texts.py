"""Texts on which tokenizers tend to differ. Used by make.py and by Tests/Parity/llamacpp_tokenizer.py."""

import random

TEXTS = {
    "english": "The Qubic network's epoch 231 isn't over; they've burnt 1,234,567 QUs — we'll see. I'M, YOU'RE, it'S.",
    "traditional-chinese": "目前網路狀況如何？本週紀元的交易量為 12,345 筆，較上週增加 3.5%。「節點」全部正常，請留意預言機風險。",
    "simplified-chinese": "当前网络状况如何？本周纪元的交易量为12345笔，较上周增加3.5%。节点全部正常。",
    "code": 'func f(_ x: [Int]) -> Int {\n\treturn x.reduce(0) { $0 &+ $1 } // sum\n}\n\n\n#include <stdio.h>\r\nint main(void){return 0x1F;}\r\n',
    "digits": "0 1 12 123 1234 12345 123456 1234567 3.14159 1e-10 ²³ ½ Ⅷ ٣٤٥ १२३ ①② 2026-11-24T03:08:49Z",
    "emoji": "👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 🇹🇼 ❤️‍🔥 ☺︎ 1️⃣ 🤦🏼‍♂️x🙂🙂",
    "combining": "e\u0301 é A\u030A Å ﬁ ａｂｃ ㈱ q\u0323\u0307 한국어 \u1112\u1161\u11ab ゟ が か\u3099",
    "right-to-left": "שלום עולם! مرحبا بالعالم، كيف الحال؟ \u200fabc\u200e ١٢٣",
    "whitespace": "  two   three    four\t\ttab \n \n\n newline \u00a0nbsp\u3000ideographic\u2003em \u200b zero  ",
    "controls": "a\x01b\x02\x7f\x1b[0m\x85c\u2028d\u2029e\x0b\x0cf",
    "punctuation": "$5.00 + <a href=\"x\">=|~^`...!!!???---___***((()))[[]]{{}}@#%&§°€£¥",
    "apostrophes": "don't DON'T won'T 'sup ''ll 're 'REx rock'n'roll o\u2019clock",
    "empty": "",
    "space": " ",
    "newline": "\n",
    "one": "a",
}


def random_text(count, seed=7):
    """Random bytes decoded as UTF-8, and characters from all planes between them."""
    generator = random.Random(seed)
    parts = []
    while sum(map(len, parts)) < count:
        parts.append(generator.randbytes(generator.randrange(1, 24)).decode("utf-8", errors="replace"))
        plane = generator.choice([(0x20, 0x7F), (0x80, 0x3000), (0x3000, 0xD800), (0xE000, 0x10000), (0x10000, 0x20000)])
        parts.append("".join(chr(generator.randrange(*plane)) for _ in range(generator.randrange(1, 6))))
    return "".join(parts)[:count].replace("\x00", "")
