"""Answers in words, from the facts as a prompt shows them: every number is a slot that names its line, so that it is grounded.

`Lines` reads a rendered prompt back by the templates of make_prompts; `write` says what is true of it, in one of many wordings.
"""
import re

from make_prompts import LINES

OUT = ("out of range", "超出範圍")


def _matcher(template: str):
    parts = re.split(r"\{\{.*?\}\}", template)
    return re.compile("^" + "(.+?)".join(map(re.escape, parts)) + "$")


MATCHERS = {lang: {key: _matcher(pair[i]) for key, pair in LINES.items()} for i, lang in enumerate(("en", "zh"))}


class Lines(dict):
    """key → what stands in the places of its line, e.g. ratio → ("1.52", "slow")."""

    def __init__(self, text: str, language: str):
        super().__init__()
        matchers = MATCHERS[language]
        for line in text.split("\n"):
            for key, matcher in matchers.items():
                if key not in self and (found := matcher.match(line)):
                    self[key] = found.groups()
                    break

    def number(self, key: str) -> str:
        return self[key][0]

    def band(self, key: str) -> str:
        return self[key][-1]

    def out_of_range(self):
        return [key for key, groups in self.items() if groups[-1] in OUT]


# What each key is called in a sentence.
CALLED = {
    "en": {"epoch": "the epoch", "last": "the time since the last tick", "pace": "the tick time", "price": "the price", "mean": "the mean tick time"},
    "zh": {"epoch": "紀元", "last": "距上一個 tick 的時間", "pace": "每 tick 時間", "price": "價格", "mean": "平均 tick 時間"},
}

# kind → (key that must be there, wordings)
KINDS = {
    "en": {
        "stall": ("last", ["No tick has come for {last} s.", "Ticks have stopped: the last one came {last} s ago.", "The network stands still, {last} s since the last tick.", "The last tick is {last} s old; the network has stalled."]),
        "slow_ticks": ("ratio", ["Ticks take {ratio} times as long as usual.", "Ticks are slow, at {ratio} times the usual time.", "The pace has fallen: a tick takes {ratio} times as long as usual.", "Slow ticks: {ratio} times the usual time."]),
        "quality_drop": ("empty", ["{empty} % of the ticks are empty now.", "Quality has dropped: {empty} % of recent ticks are empty.", "Too many ticks are empty, {empty} % of them.", "The share of empty ticks has risen to {empty} %."]),
        "mid_epoch_jump": ("jump", ["Tick numbers jumped by {jump} s worth in mid-epoch.", "{jump} s worth of ticks were skipped inside the epoch.", "A jump of {jump} s worth of tick numbers is not normal in mid-epoch.", "Ticks worth {jump} s are missing in mid-epoch."]),
        "stale_source": ("behind", ["One source has stood still for {behind} s while another went on.", "A source is stale, {behind} s behind.", "A source lags by {behind} s though it still answers.", "One source is {behind} s behind the other."]),
        "bad_data": ("bad", ["{bad} recent records break the network's invariants.", "The data are not sound: {bad} bad records.", "{bad} records contradict themselves.", "Recent data cannot be trusted, with {bad} bad records."]),
        "price_shock": ("swing", ["The price moved by {swing} % within minutes.", "A price shock of {swing} % was seen.", "The price swung by {swing} % at once.", "A sudden price move of {swing} % stands out."]),
    },
    "zh": {
        "stall": ("last", ["已有 {last} 秒沒有新的 tick。", "tick 停止，上一個在 {last} 秒前。", "網路停滯，距上一個 tick 已 {last} 秒。", "上一個 tick 是 {last} 秒前，網路已停滯。"]),
        "slow_ticks": ("ratio", ["tick 時間是平常的 {ratio} 倍。", "tick 變慢，為平常的 {ratio} 倍。", "步調下降，每個 tick 要平常的 {ratio} 倍時間。", "tick 偏慢：平常的 {ratio} 倍。"]),
        "quality_drop": ("empty", ["目前有 {empty} % 的 tick 是空的。", "品質下降，近期空 tick 占 {empty} %。", "空 tick 太多，占 {empty} %。", "空 tick 比例升到 {empty} %。"]),
        "mid_epoch_jump": ("jump", ["紀元中途跳號，相當 {jump} 秒。", "紀元內跳過相當 {jump} 秒的 tick。", "紀元中途跳過 {jump} 秒的 tick，並不正常。", "紀元中途少了相當 {jump} 秒的 tick。"]),
        "stale_source": ("behind", ["一個來源停了 {behind} 秒，另一個仍在前進。", "來源過時，落後 {behind} 秒。", "有來源雖仍回應，卻落後 {behind} 秒。", "一個來源比另一個落後 {behind} 秒。"]),
        "bad_data": ("bad", ["近期有 {bad} 筆紀錄違反網路的不變量。", "資料不可靠：{bad} 筆不良紀錄。", "有 {bad} 筆紀錄自相矛盾。", "近期資料有 {bad} 筆不良，不可採信。"]),
        "price_shock": ("swing", ["價格在幾分鐘內變動 {swing} %。", "出現 {swing} % 的價格衝擊。", "價格一下子擺動 {swing} %。", "價格突然變動 {swing} %，相當顯著。"]),
    },
}
SIZES = {
    "en": {"minor": ["It is minor.", "A minor incident.", "So far this is minor."], "moderate": ["It is moderate.", "A moderate incident.", "This deserves attention."], "severe": ["It is severe.", "A severe incident.", "This is serious."]},
    "zh": {"minor": ["程度輕微。", "屬輕微事件。", "目前影響輕微。"], "moderate": ["程度中等。", "屬中度事件。", "值得注意。"], "severe": ["情況嚴重。", "屬嚴重事件。", "必須處理。"]},
}
# Supporting remarks: (keys, wordings)
SUPPORT = {
    "en": [
        (("tick", "last"), ["Tick {tick} came {last} s ago.", "The latest tick, {tick}, is {last} s old."]),
        (("tick",), ["The network is at tick {tick}.", "The latest tick is {tick}."]),
        (("quality",), ["Quality of the epoch is {quality_band} at {quality} %.", "The epoch's quality stands at {quality} %, {quality_band}."]),
        (("empty",), ["{empty} % of recent ticks are empty.", "Empty ticks are at {empty} %."]),
        (("pace",), ["A tick takes {pace} s.", "Ticks come every {pace} s."]),
        (("addresses",), ["{addresses} addresses are active.", "There are {addresses} active addresses."]),
        (("health",), ["Health is {health_band} at {health}.", "The health score is {health}, {health_band}."]),
        (("mean",), ["A tick took {mean} s on average.", "The mean tick time was {mean} s."]),
        (("week",), ["The price moved {week} % over the week.", "Over the week the price changed by {week} %."]),
    ],
    "zh": [
        (("tick", "last"), ["tick {tick} 在 {last} 秒前到達。", "最新的 tick {tick} 距今 {last} 秒。"]),
        (("tick",), ["網路位於 tick {tick}。", "最新的 tick 是 {tick}。"]),
        (("quality",), ["本紀元品質{quality_band}，為 {quality} %。", "紀元品質 {quality} %，{quality_band}。"]),
        (("empty",), ["近期空 tick 占 {empty} %。", "空 tick 為 {empty} %。"]),
        (("pace",), ["每個 tick 需 {pace} 秒。", "約每 {pace} 秒一個 tick。"]),
        (("addresses",), ["活躍地址有 {addresses} 個。", "共有 {addresses} 個活躍地址。"]),
        (("health",), ["健康分數 {health}，{health_band}。", "健康{health_band}，得 {health} 分。"]),
        (("mean",), ["平均每 tick {mean} 秒。", "平均 tick 時間為 {mean} 秒。"]),
        (("week",), ["一週價格變動 {week} %。", "價格一週內變化 {week} %。"]),
    ],
}
WELL = {
    "en": ["The network runs well.", "All is normal.", "The network is healthy.", "Nothing stands out; the network works as usual."],
    "zh": ["網路運作良好。", "一切正常。", "網路狀況健康。", "沒有異常，網路如常運作。"],
}
BEYOND = {
    "en": ["Out of range: {what} lies beyond what I know, so this is uncertain.", "I have not seen such values: {what} is out of range."],
    "zh": ["超出範圍：{what}不在已知範圍內，判斷並不確定。", "未見過這樣的數值：{what}超出範圍。"],
}
FAILED = {
    "en": ["The source failed, so there is nothing to judge the network by.", "The source did not answer properly: {failed}.", "No data: the source failed."],
    "zh": ["資料來源失敗，無法據以判斷網路。", "來源沒有正常回應：{failed}。", "沒有資料：來源失敗。"],
}
DIRECTION = {
    "en": {
        "rising": ["Quality should rise to {trend} % in 6 h.", "The epoch's quality is rising, towards {trend} %.", "Expect better quality: {trend} % in 6 h."],
        "steady": ["Quality should stay near {trend} % for 6 h.", "The epoch's quality is steady at about {trend} %.", "Little will change: {trend} % in 6 h."],
        "falling": ["Quality should fall to {trend} % in 6 h.", "The epoch's quality is falling, towards {trend} %.", "Expect lower quality: {trend} % in 6 h."],
    },
    "zh": {
        "rising": ["6 小時後品質應升至 {trend} %。", "本紀元品質上升，將達 {trend} %。", "品質可望改善，6 小時後為 {trend} %。"],
        "steady": ["6 小時內品質應維持在 {trend} % 左右。", "本紀元品質持平，約 {trend} %。", "變化不大，6 小時後為 {trend} %。"],
        "falling": ["6 小時後品質應降至 {trend} %。", "本紀元品質下降，將至 {trend} %。", "品質恐下滑，6 小時後為 {trend} %。"],
    },
}
UNFORECAST = {
    "en": {"rising": ["Quality is likely to rise."], "steady": ["Quality is likely to stay as it is."], "falling": ["Quality is likely to fall."]},
    "zh": {"rising": ["品質可能上升。"], "steady": ["品質可能持平。"], "falling": ["品質可能下降。"]},
}
OUTLOOK = {
    "en": [
        (("range",), ["With 80 % it lies between {range} and {range_2} %.", "The 80 % interval is {range} to {range_2} %."]),
        (("next",), ["Tick {next} is due in 1 h.", "In 1 h the tick should be {next}."]),
        (("final",), ["The epoch should end at tick {final}.", "Tick {final} is expected at the epoch's end."]),
        (("ends",), ["The epoch ends in {ends} h.", "{ends} h of the epoch are left."]),
    ],
    "zh": [
        (("range",), ["八成區間為 {range} 至 {range_2} %。", "有八成機會落在 {range} 至 {range_2} %。"]),
        (("next",), ["1 小時後 tick 約為 {next}。", "1 小時後應到 tick {next}。"]),
        (("final",), ["紀元結束時 tick 約為 {final}。", "紀元應結束於 tick {final}。"]),
        (("ends",), ["紀元在 {ends} 小時後結束。", "本紀元還剩 {ends} 小時。"]),
    ],
}
MOOD = {
    "en": {"positive": ["The news are good.", "News speak for the price."], "neutral": ["The news say little.", "The news are mixed or neutral."], "negative": ["The news are bad.", "News weigh on the price."]},
    "zh": {"positive": ["新聞偏多。", "消息面良好。"], "neutral": ["新聞中性。", "消息面沒有方向。"], "negative": ["新聞偏空。", "消息面不佳。"]},
}
RISK = {
    "en": {"low": ["Risk is low."], "medium": ["Risk is medium."], "high": ["Risk is high."]},
    "zh": {"low": ["風險低。"], "medium": ["風險中等。"], "high": ["風險高。"]},
}
CALM = {"en": ["No incident is under way.", "The network shows no incident."], "zh": ["目前沒有事件。", "網路沒有事件發生。"]}


# What a question asks for: the fact's name → (key of its line, wordings).
ASKED = {
    "en": {
        "tick": ("tick", ["The current tick is {tick}.", "We are at tick {tick}."]),
        "epoch": ("epoch", ["It is epoch {epoch}.", "The current epoch is {epoch}."]),
        "secondsPerTick": ("pace", ["A tick takes {pace} s.", "Ticks come every {pace} s."]),
        "paceRatio": ("ratio", ["Ticks take {ratio} times the usual time, which is {ratio_band}.", "The pace is {ratio_band}: {ratio} times the usual time."]),
        "secondsSinceLastTick": ("last", ["The last tick came {last} s ago.", "It has been {last} s since the last tick, which is {last_band}."]),
        "ticksInEpoch": ("count", ["The epoch has had {count} ticks.", "There are {count} ticks in the epoch so far."]),
        "hoursToEpochEnd": ("ends", ["The epoch ends in {ends} h.", "{ends} h of the epoch are left."]),
        "hoursSinceEpochStart": ("began", ["The epoch began {began} h ago.", "It has run for {began} h."]),
        "epochTickQualityPercent": ("quality", ["The epoch's tick quality is {quality} %, {quality_band}.", "Quality stands at {quality} %, which is {quality_band}."]),
        "emptyTickRecentPercent": ("empty", ["{empty} % of the recent ticks are empty.", "Lately {empty} % of ticks were empty."]),
        "emptyTickUsualPercent": ("usual", ["Usually {usual} % of ticks are empty.", "{usual} % empty ticks are normal in this epoch."]),
        "priceUSD": ("price", ["The price is {price} USD.", "One QUBIC costs {price} USD."]),
        "priceReturnDayPercent": ("day", ["The price changed by {day} % within a day.", "Over 24 hours it is {day} %."]),
        "priceSwingPercent": ("swing", ["The largest recent price move was {swing} %, {swing_band}.", "The last swing was {swing} %."]),
        "marketCapUSD": ("cap", ["The market cap is {cap} million USD.", "Qubic is worth {cap} million USD."]),
        "circulatingSupplyQus": ("supply", ["{supply} trillion qus circulate.", "The supply is {supply} trillion qus."]),
        "burnedQus": ("burned", ["{burned} trillion qus have been burned.", "So far {burned} trillion qus were burned."]),
        "forecastTick1h": ("next", ["In an hour the tick should be {next}.", "Tick {next} is expected in an hour."]),
        "forecastTickEpochEnd": ("final", ["The epoch should end at tick {final}.", "Tick {final} is expected at the end."]),
        "forecastQuality6h": ("trend", ["Quality should be {trend} % in six hours.", "The forecast for six hours is {trend} %."]),
        "forecastPrice24h": ("tomorrow", ["The price should be about {tomorrow} USD in 24 hours.", "The forecast for tomorrow is {tomorrow} USD."]),
        "healthScore": ("health", ["The health score is {health}, {health_band}.", "Health is {health_band} at {health}."]),
        "activeAddresses": ("addresses", ["{addresses} addresses are active.", "There are {addresses} active addresses."]),
        "badRecordsRecent": ("bad", ["{bad} recent records break the invariants.", "There were {bad} bad records lately."]),
        "sourceBehindSeconds": ("behind", ["The slowest source is {behind} s behind.", "A source is behind by {behind} s."]),
    },
    "zh": {
        "tick": ("tick", ["目前的 tick 是 {tick}。", "現在到 tick {tick}。"]),
        "epoch": ("epoch", ["現在是紀元 {epoch}。", "目前紀元為 {epoch}。"]),
        "secondsPerTick": ("pace", ["每個 tick 需 {pace} 秒。", "約每 {pace} 秒一個 tick。"]),
        "paceRatio": ("ratio", ["tick 時間是平常的 {ratio} 倍，屬{ratio_band}。", "步調{ratio_band}，為平常的 {ratio} 倍。"]),
        "secondsSinceLastTick": ("last", ["上一個 tick 在 {last} 秒前。", "距上一個 tick 已 {last} 秒，{last_band}。"]),
        "ticksInEpoch": ("count", ["本紀元已有 {count} 個 tick。", "到目前為止有 {count} 個 tick。"]),
        "hoursToEpochEnd": ("ends", ["紀元在 {ends} 小時後結束。", "本紀元還剩 {ends} 小時。"]),
        "hoursSinceEpochStart": ("began", ["紀元在 {began} 小時前開始。", "本紀元已進行 {began} 小時。"]),
        "epochTickQualityPercent": ("quality", ["本紀元 tick 品質為 {quality} %，{quality_band}。", "品質 {quality} %，屬{quality_band}。"]),
        "emptyTickRecentPercent": ("empty", ["近期有 {empty} % 的 tick 是空的。", "最近空 tick 占 {empty} %。"]),
        "emptyTickUsualPercent": ("usual", ["平常有 {usual} % 的 tick 是空的。", "本紀元正常的空 tick 比例為 {usual} %。"]),
        "priceUSD": ("price", ["價格是 {price} 美元。", "一枚 QUBIC 為 {price} 美元。"]),
        "priceReturnDayPercent": ("day", ["價格一天內變化 {day} %。", "二十四小時漲跌為 {day} %。"]),
        "priceSwingPercent": ("swing", ["最近最大的價格變動為 {swing} %，{swing_band}。", "最近的擺動是 {swing} %。"]),
        "marketCapUSD": ("cap", ["市值為 {cap} 百萬美元。", "總市值 {cap} 百萬美元。"]),
        "circulatingSupplyQus": ("supply", ["流通量為 {supply} 兆 qus。", "目前有 {supply} 兆 qus 流通。"]),
        "burnedQus": ("burned", ["已銷毀 {burned} 兆 qus。", "到目前為止銷毀了 {burned} 兆 qus。"]),
        "forecastTick1h": ("next", ["一小時後 tick 約為 {next}。", "一小時後應到 tick {next}。"]),
        "forecastTickEpochEnd": ("final", ["紀元應結束於 tick {final}。", "預計到 tick {final} 結束。"]),
        "forecastQuality6h": ("trend", ["六小時後品質約為 {trend} %。", "六小時的預測是 {trend} %。"]),
        "forecastPrice24h": ("tomorrow", ["二十四小時後價格約 {tomorrow} 美元。", "明天的預測是 {tomorrow} 美元。"]),
        "healthScore": ("health", ["健康分數為 {health}，{health_band}。", "健康{health_band}，得 {health} 分。"]),
        "activeAddresses": ("addresses", ["活躍地址有 {addresses} 個。", "共有 {addresses} 個活躍地址。"]),
        "badRecordsRecent": ("bad", ["近期有 {bad} 筆不良紀錄。", "最近 {bad} 筆紀錄違反不變量。"]),
        "sourceBehindSeconds": ("behind", ["最慢的來源落後 {behind} 秒。", "來源落後 {behind} 秒。"]),
    },
}
UNKNOWN = {"en": ["That was not recorded.", "The recording does not say."], "zh": ["紀錄中沒有這項資料。", "這項沒有被記錄。"]}


def _values(lines: Lines, language: str) -> dict:
    """What stands for each {…}: slots, which name a line of the prompt in brackets and are filled with its value by whoever asked,
    so that no number is ever spelt by a model, nor a word for a number's range: the line's last slot."""
    values = {}
    for key, groups in lines.items():
        label = re.split("[:：]", LINES[key][language == "zh"])[0]
        values[key] = f"[{label}]"
        values[key + "_2"] = f"[{label} 2]"
        values[key + "_band"] = f"[{label} {len(groups)}]"
    return values


def _say(random, wordings, values) -> str:
    return random.choice(wordings).format(**values)


def _join(language, sentences) -> str:
    return (" " if language == "en" else "").join(sentences)


def _remarks(random, table, lines, values, count, spent=()) -> list:
    fits = [row for row in table if all(key in lines for key in row[0]) and not set(row[0]) & set(spent)]
    random.shuffle(fits)
    chosen, used = [], set()
    for keys, wordings in fits:
        if len(chosen) < count and not used & set(keys):
            chosen.append(_say(random, wordings, values))
            used |= set(keys)
    return chosen


def write(task: str, language: str, lines: Lines, labels: dict, random) -> str:
    """One answer of a task: `labels` holds the choices' values, and `kind`, `severity` of what is under way where known."""
    values = _values(lines, language)
    beyond = lines.out_of_range()
    opening = []
    if beyond:
        opening = [_say(random, BEYOND[language], {"what": CALLED[language][beyond[0]]})]
    if "failed" in lines:
        return _join(language, opening + [_say(random, FAILED[language], values)])
    if task == "ask":
        said = []
        for name in labels["asked"]:
            key, wordings = ASKED[language][name]
            said.append(_say(random, wordings, values) if key in lines else _say(random, UNKNOWN[language], values))
        return _join(language, opening + list(dict.fromkeys(said)))
    kind = labels.get("kind", "none")
    incident = []
    if kind != "none" and not beyond:
        key, wordings = KINDS[language][kind]
        if key in lines:
            incident = [_say(random, wordings, values)]
            if labels["severity"] in SIZES[language]:
                incident.append(_say(random, SIZES[language][labels["severity"]], values))
    spent = {KINDS[language][kind][0]} if kind != "none" else set()
    if task == "prediction":
        table = DIRECTION if "trend" in lines else UNFORECAST
        first = _say(random, table[language][labels["direction"]], values)
        return _join(language, opening + [first] + _remarks(random, OUTLOOK[language], lines, values, 1))
    if task == "oracle":
        said = [_say(random, MOOD[language][labels["sentiment"]], values)] if "news" in lines else []
        said += incident[:1] or [_say(random, CALM[language], values)]
        return _join(language, opening + said + [_say(random, RISK[language][labels["risk"]], values)])
    if task == "anomaly":
        if not incident:
            incident = [] if beyond else [_say(random, CALM[language], values)]
            return _join(language, opening + incident + _remarks(random, SUPPORT[language], lines, values, 1))
        return _join(language, opening + incident)
    if incident:
        return _join(language, opening + incident + _remarks(random, SUPPORT[language], lines, values, 1, spent))
    first = [_say(random, WELL[language], values)] if labels["sentiment"] == "positive" and not beyond else []
    return _join(language, opening + first + _remarks(random, SUPPORT[language], lines, values, 2, spent))
