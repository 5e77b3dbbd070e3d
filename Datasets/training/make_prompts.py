#!/usr/bin/env python3
"""Writes the embedded model's prompts: one line a fact, the same lines in both languages.

    make_prompts.py Datasets/training/prompts

The model was trained on exactly these; a changed line wants a new training.
"""
import pathlib
import sys

# key: (fact lines in English, in Traditional Chinese). A band after the number says what comparing would say, so that the
# model judges and does not compute. Bounds stand between the words; a number on a bound is above it.
LINES = {
    "failed": ("Source: failed, {{failureKind}}", "來源：失敗，{{failureKind}}"),
    "message": ("Message: {{failureMessage}}", "訊息：{{failureMessage}}"),
    "epoch": (
        "Epoch: {{epoch}}, {{epoch|out of range<100<ok<320<out of range}}",
        "紀元：{{epoch}}，{{epoch|超出範圍<100<可<320<超出範圍}}"),
    "tick": ("Tick: {{tick}}", "Tick：{{tick}}"),
    "began": (
        "Epoch began: {{hoursSinceEpochStart|1}} h ago, {{hoursSinceEpochStart|just now<1<today<24<earlier}}",
        "紀元開始：{{hoursSinceEpochStart|1}} 小時前，{{hoursSinceEpochStart|剛剛<1<今天<24<較早}}"),
    "ends": ("Epoch ends: in {{hoursToEpochEnd|1}} h", "紀元結束：{{hoursToEpochEnd|1}} 小時後"),
    "last": (
        "Last tick: {{secondsSinceLastTick|0}} s ago, {{secondsSinceLastTick|fresh<30<late<110<stopped<600<stopped long<1800<stopped very long<65535<out of range}}",
        "上一個 tick：{{secondsSinceLastTick|0}} 秒前，{{secondsSinceLastTick|新鮮<30<遲<110<停止<600<停止很久<1800<停止極久<65535<超出範圍}}"),
    "pace": (
        "Tick time: {{secondsPerTick|2}} s, {{secondsPerTick|ok<25<out of range}}",
        "每 tick：{{secondsPerTick|2}} 秒，{{secondsPerTick|可<25<超出範圍}}"),
    "ratio": (
        "Against usual: {{paceRatio|2}} times, {{paceRatio|usual<1.45<slow<2.2<very slow<3<crawling}}",
        "與平常相比：{{paceRatio|2}} 倍，{{paceRatio|平常<1.45<慢<2.2<很慢<3<極慢}}"),
    "empty": (
        "Empty ticks now: {{emptyTickRecentPercent|1}} %, {{emptyTickRecentPercent|few<5<some<12<many<18<very many<35<most}}",
        "目前空 tick：{{emptyTickRecentPercent|1}} %，{{emptyTickRecentPercent|少<5<一些<12<多<18<很多<35<大半}}"),
    "usual": (
        "Empty ticks as usual: {{emptyTickUsualPercent|1}} %, {{emptyTickUsualPercent|few<5<some<12<many}}",
        "平常空 tick：{{emptyTickUsualPercent|1}} %，{{emptyTickUsualPercent|少<5<一些<12<多}}"),
    "excess": (
        "Empty ticks above usual: {{emptyTickExcessPercent|+1}} points, {{emptyTickExcessPercent|no<2<hardly<4.5<more<10<far more}}",
        "空 tick 多於平常：{{emptyTickExcessPercent|+1}} 點，{{emptyTickExcessPercent|否<2<幾乎不<4.5<較多<10<多很多}}"),
    "jump": (
        "Skipped ticks: {{recentJumpSeconds|0}} s worth, {{recentJumpSeconds|none<60<some<420<a jump<1200<a big jump<7200<a huge jump}}",
        "跳過的 tick：相當 {{recentJumpSeconds|0}} 秒，{{recentJumpSeconds|無<60<一些<420<跳號<1200<大跳號<7200<巨大跳號}}"),
    "behind": (
        "A source behind: {{sourceBehindSeconds|0}} s, {{sourceBehindSeconds|no<150<a little<900<behind<1800<far behind<7200<very far behind}}",
        "來源落後：{{sourceBehindSeconds|0}} 秒，{{sourceBehindSeconds|否<150<稍微<900<落後<1800<落後很多<7200<落後極多}}"),
    "bad": (
        "Bad records: {{badRecordsRecent|0}}, {{badRecordsRecent|none<1<a few<3<some<10<many<30<very many}}",
        "不良紀錄：{{badRecordsRecent|0}} 筆，{{badRecordsRecent|無<1<少數<3<一些<10<多<30<極多}}"),
    "swing": (
        "Price swing: {{priceSwingPercent|+1}} %, {{priceSwingPercent|crash<-30<plunge<-18<fall<-8<quiet<8<rise<18<surge<30<spike}}",
        "價格擺動：{{priceSwingPercent|+1}} %，{{priceSwingPercent|崩跌<-30<重挫<-18<下跌<-8<平靜<8<上漲<18<急漲<30<暴漲}}"),
    "quality": (
        "Quality of the epoch: {{epochTickQualityPercent|2}} %, {{epochTickQualityPercent|poor<90<low<95<middling<97<good}}",
        "本紀元品質：{{epochTickQualityPercent|2}} %，{{epochTickQualityPercent|不佳<90<偏低<95<普通<97<良好}}"),
    "price": (
        "Price: {{priceUSD|9}} USD, {{priceUSD|out of range<0.00000002<ok<0.0005<out of range}}",
        "價格：{{priceUSD|9}} 美元，{{priceUSD|超出範圍<0.00000002<可<0.0005<超出範圍}}"),
    "addresses": ("Active addresses: {{activeAddresses}}", "活躍地址：{{activeAddresses}}"),
    "health": (
        "Health: {{healthScore}}, {{healthScore|critical<40<weak<70<fair<90<good}}",
        "健康分數：{{healthScore}}，{{healthScore|危急<40<不佳<70<尚可<90<良好}}"),
    "verdict": ("Dashboard: {{healthOverall}}", "儀表板：{{healthOverall}}"),
    "mean": (
        "Mean tick time: {{meanSecondsPerTick|2}} s, {{meanSecondsPerTick|ok<8<out of range}}",
        "平均每 tick：{{meanSecondsPerTick|2}} 秒，{{meanSecondsPerTick|可<8<超出範圍}}"),
    "start": ("Start of the epoch: {{transition}}", "紀元銜接：{{transition}}"),
    "week": (
        "Price over the week: {{priceChangePercent|+1}} %, {{priceChangePercent|crash<-30<plunge<-18<fall<-8<quiet<8<rise<18<surge<30<spike}}",
        "一週價格：{{priceChangePercent|+1}} %，{{priceChangePercent|崩跌<-30<重挫<-18<下跌<-8<平靜<8<上漲<18<急漲<30<暴漲}}"),
    "hour": ("Quality of the last hour: {{qualityHourPercent|2}} %", "近一小時品質：{{qualityHourPercent|2}} %"),
    "trend": (
        "Quality in 6 h: {{forecastQuality6h|2}} %, {{forecastQualityChange6h|falls<-0.3<sinks<-0.1<eases<-0.05<dips<-0.02<stays<0.02<lifts<0.05<gains<0.1<climbs<0.3<rises}}",
        "6 小時後品質：{{forecastQuality6h|2}} %，{{forecastQualityChange6h|大降<-0.3<下降<-0.1<漸降<-0.05<微降<-0.02<不變<0.02<微升<0.05<漸升<0.1<上升<0.3<大升}}"),
    "range": (
        "With 80 %: {{forecastQuality6hLow80|2}} to {{forecastQuality6hHigh80|2}} %",
        "八成區間：{{forecastQuality6hLow80|2}} 至 {{forecastQuality6hHigh80|2}} %"),
    "next": ("Tick in 1 h: {{forecastTick1h}}", "1 小時後 tick：{{forecastTick1h}}"),
    "final": ("Tick at the epoch's end: {{forecastTickEpochEnd}}", "紀元結束時 tick：{{forecastTickEpochEnd}}"),
    "direction": ("Price in a day: {{priceDirection}}", "一日後價格：{{priceDirection}}"),
    "count": ("Ticks in the epoch: {{ticksInEpoch}}", "本紀元 tick 數：{{ticksInEpoch}}"),
    "day": ("Price over a day: {{priceReturnDayPercent|+1}} %", "一日價格變化：{{priceReturnDayPercent|+1}} %"),
    "cap": ("Market cap: {{marketCapUSD|millions}} million USD", "市值：{{marketCapUSD|millions}} 百萬美元"),
    "supply": ("Supply: {{circulatingSupplyQus|trillions}} trillion qus", "流通量：{{circulatingSupplyQus|trillions}} 兆 qus"),
    "burned": ("Burned: {{burnedQus|trillions}} trillion qus", "已銷毀：{{burnedQus|trillions}} 兆 qus"),
    "tomorrow": ("Price in 24 h: {{forecastPrice24h|9}} USD", "24 小時後價格：{{forecastPrice24h|9}} 美元"),
    "news": ("News: {{newsList}}", "新聞：{{newsList}}"),
    "question": ("Question: {{question}}", "問題：{{question}}"),
}
EVIDENCE = ["began", "last", "pace", "ratio", "empty", "excess", "jump", "behind", "bad", "swing"]
STATE = ["quality", "price", "addresses", "health"]
TASKS = {
    "analysis": ["failed", "message", "epoch", "tick", *EVIDENCE, *STATE, "verdict", "mean", "start", "week"],
    "prediction": ["failed", "message", "epoch", "tick", "began", "ends", "last", "empty", "usual", "quality", "hour", "trend", "range", "next", "final"],
    "anomaly": ["failed", "message", "epoch", "tick", *EVIDENCE],
    "oracle": ["failed", "message", "epoch", *EVIDENCE, "price", "direction", "news"],
    "ask": ["failed", "message", "epoch", "tick", "count", "began", "ends", "last", "pace", "ratio", "empty", "usual", "behind", "bad",
            "swing", *STATE, "day", "cap", "supply", "burned", "trend", "next", "final", "tomorrow", "question"],
}
NAMES = {
    "analysis": ("Analysis", "分析"), "prediction": ("Prediction", "預測"), "anomaly": ("Anomaly", "異常"),
    "oracle": ("Oracle", "預言機"), "ask": ("Answer", "回答"),
}
SENTIMENT = ("sentiment", ["positive", "neutral", "negative"], ["正面", "中性", "負面"], ["positive", "neutral", "negative"])
CHOICES = {
    "analysis": [SENTIMENT],
    "prediction": [("direction", ["rising", "steady", "falling"], ["上升", "持平", "下降"], ["rising", "steady", "falling"])],
    "anomaly": [
        ("kind", ["none", "stall", "slow_ticks", "quality_drop", "mid_epoch_jump", "stale_source", "bad_data", "price_shock"],
         ["無", "停滯", "變慢", "品質下降", "跳號", "來源過時", "資料不良", "價格衝擊"],
         ["none", "stall", "slow ticks", "quality drop", "jump", "stale source", "bad data", "price shock"]),
        ("severity", ["none", "minor", "moderate", "severe"], ["無", "輕微", "中度", "嚴重"], ["none", "minor", "moderate", "severe"]),
    ],
    "oracle": [SENTIMENT, ("risk", ["low", "medium", "high"], ["低", "中", "高"], ["low", "medium", "high"])],
    "ask": [],
}
TEXT_TOKENS = {"en": 72, "zh": 80}


def text(task: str, language: str) -> str:
    chinese = language == "zh"
    out = [f"# {NAMES[task][chinese]}", f"prompt: {task}", f"language: {language}", "version: 2"]
    answer = ""
    for name, values, zh, en in CHOICES[task]:
        labels = zh if chinese else en
        out.append(f"choose {name}: " + " | ".join(f'{v}="{l}"' for v, l in zip(values, labels)))
        answer += "{{choose %s}}\n" % name
    written = "answer" if task == "ask" else "analysis"
    out.append(f'generate {written}: max-tokens="{TEXT_TOKENS[language]}" | slots="[]"')
    answer += "{{generate %s}}" % written
    lines = [LINES[key][chinese] for key in TASKS[task]]
    out += ["", "=== user", NAMES[task][chinese], "{{facts}}", "=== facts", *lines, "=== assistant", answer]
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for task in TASKS:
        for language in ("en", "zh"):
            (folder / f"{task}.{language}.prompt").write_text(text(task, language), encoding="utf-8")
