import Science

/// A question over a recording, with the names of the facts that it asks for.
struct SyntheticQuestion {
    let text: String
    let asked: [String]

    /// Asks for what is known; one in twenty asks for anything, so that "not recorded" is an answer too.
    init(language: Language, facts: Facts, random: inout SeededRandom) {
        let topics = QuestionTopic.all
        let known = topics.filter { $0.facts.allSatisfy { facts[$0] != nil } }
        let pool = known.isEmpty || random.chance(0.05) ? topics : known
        let first = pool[random.below(pool.count)]
        func wording(_ topic: QuestionTopic, _ random: inout SeededRandom) -> String {
            let list = language == .english ? topic.english : topic.chinese
            return list[random.below(list.count)]
        }
        var text = wording(first, &random)
        var asked = first.facts
        if random.chance(0.12),
            let second = pool.filter({ $0.facts != first.facts && $0.facts.count == 1 })
                .randomOne(&random)
        {
            asked += second.facts.filter { !asked.contains($0) }
            let other = wording(second, &random)
            text = language == .english ? text + " And " + other.lowercasedFirst : text + "另外，" + other
        }
        let openings = language == .english ? Self.english : Self.chinese
        let opening = openings[random.below(openings.count)]
        if !opening.isEmpty { text = opening + (language == .english ? text.lowercasedFirst : text) }
        self.text = text
        self.asked = asked
    }

    private static let english = [
        "", "", "", "", "Hi, ", "Quick question: ", "Please tell me: ", "I would like to know: ",
    ]
    private static let chinese = ["", "", "", "", "請問", "你好，", "想請教一下，", "麻煩告訴我，"]
}

extension Array {
    fileprivate func randomOne(_ random: inout SeededRandom) -> Element? {
        isEmpty ? nil : self[random.below(count)]
    }
}

extension String {
    /// "What is …" to "what is …"; a name such as QUBIC stays.
    fileprivate var lowercasedFirst: String {
        guard let first, let second = dropFirst().first, second.isLowercase || second == " " || second == "'" else {
            return self
        }
        return first.lowercased() + dropFirst()
    }
}

struct QuestionTopic {
    let facts: [String]
    let english: [String]
    let chinese: [String]

    init(_ facts: String..., english: [String], chinese: [String]) {
        (self.facts, self.english, self.chinese) = (facts, english, chinese)
    }

    static let all = status + ticks + quality + money + ahead
    private static let status = [
        QuestionTopic(
            "healthScore", "tick", "epochTickQualityPercent",
            english: [
                "How is the network doing?", "What is the state of the network?", "Is Qubic healthy right now?",
                "Give me a summary of the network.", "How are things on the Qubic network?",
            ],
            chinese: ["目前網路狀況如何？", "Qubic 網路現在還好嗎？", "網路現在健康嗎？", "幫我總結一下網路狀態。", "現在整體情況怎麼樣？"]),
        QuestionTopic(
            "healthScore",
            english: [
                "What is the health score?", "How high is the network's health score?",
                "Which health score does the network have?",
            ],
            chinese: ["健康分數是多少？", "網路的健康分數有幾分？", "目前健康評分多少？"]),
        QuestionTopic(
            "activeAddresses",
            english: [
                "How many active addresses are there?", "What is the number of active addresses?",
                "How many addresses are active?",
            ], chinese: ["活躍地址有多少個？", "現在有幾個活躍地址？", "活躍地址數是多少？"]),
        QuestionTopic(
            "badRecordsRecent",
            english: [
                "How many bad records came in the last half hour?", "How many recent records break the invariants?",
                "Were there any faulty records lately, and how many?",
            ], chinese: ["最近半小時有幾筆異常紀錄？", "近期違反不變量的紀錄有多少筆？", "最近的資料有幾筆不可信？"]),
        QuestionTopic(
            "sourceBehindSeconds",
            english: [
                "For how long has a source been behind?", "How many seconds is the slowest source behind?",
                "Is any source stale, and for how long?",
            ], chinese: ["落後的資料來源停了多久？", "最慢的來源落後幾秒？", "有來源停滯嗎？停了多久？"]),
    ]
    private static let ticks = [
        QuestionTopic(
            "tick",
            english: [
                "What is the current tick?", "Which tick are we at?", "What is the newest tick number?",
                "Where does the tick stand?",
            ],
            chinese: ["目前的 tick 是多少？", "現在到第幾個 tick？", "最新的 tick 編號是什麼？", "tick 走到哪裡了？"]),
        QuestionTopic(
            "epoch",
            english: ["Which epoch is it?", "What is the current epoch?", "What epoch are we in?"],
            chinese: ["現在是第幾個紀元？", "目前紀元是多少？", "我們在哪個紀元？"]),
        QuestionTopic(
            "secondsPerTick",
            english: [
                "How long does a tick take?", "How many seconds does a tick take at the moment?",
                "How fast are the ticks?",
                "What is the present time per tick?",
            ], chinese: ["一個 tick 要多久？", "現在每個 tick 花幾秒？", "tick 的速度如何？", "目前出一個 tick 需要多少時間？"]),
        QuestionTopic(
            "paceRatio",
            english: [
                "How does the pace compare with the usual one?", "Are ticks slower than usual?",
                "By what factor do ticks take longer than usual?",
            ], chinese: ["和平常相比，tick 的步調如何？", "tick 比平常慢嗎？", "現在的 tick 時間是平常的幾倍？"]),
        QuestionTopic(
            "secondsSinceLastTick",
            english: [
                "When was the last tick?", "How long ago did the last tick come?",
                "How many seconds since the last tick?",
                "Is the network stalled?",
            ], chinese: ["最後一個 tick 是多久以前？", "距離上一個 tick 過了幾秒？", "網路停滯了嗎？", "多久沒有新的 tick 了？"]),
        QuestionTopic(
            "ticksInEpoch",
            english: [
                "How many ticks has this epoch had?", "How many ticks are in the epoch so far?",
                "What is the epoch's tick count?",
            ],
            chinese: ["這個紀元有多少個 tick？", "本紀元到現在出了幾個 tick？", "本紀元的 tick 數是多少？"]),
        QuestionTopic(
            "hoursToEpochEnd",
            english: [
                "How long until the epoch ends?", "When does the epoch end?", "How many hours are left in this epoch?",
            ], chinese: ["紀元還有多久結束？", "離本紀元結束還有幾小時？", "這個紀元什麼時候結束？"]),
        QuestionTopic(
            "hoursSinceEpochStart",
            english: [
                "How long ago did the epoch begin?", "How many hours old is the epoch?",
                "For how long has this epoch run?",
            ], chinese: ["紀元開始多久了？", "本紀元已經進行幾小時？", "這個紀元是多久以前開始的？"]),
    ]
    private static let quality = [
        QuestionTopic(
            "epochTickQualityPercent",
            english: [
                "What is the tick quality?", "How good is the epoch's tick quality?",
                "How high is the quality of this epoch?",
                "What share of the epoch's ticks is not empty?",
            ], chinese: ["tick 品質是多少？", "本紀元的 tick 品質如何？", "這個紀元的品質有多高？", "本紀元非空 tick 的比例是多少？"]),
        QuestionTopic(
            "emptyTickRecentPercent",
            english: [
                "How many of the recent ticks are empty?", "What is the share of empty ticks lately?",
                "What percentage of ticks was empty in the last 20 minutes?",
            ], chinese: ["最近有多少 tick 是空的？", "近期空 tick 的比例是多少？", "最近二十分鐘的空 tick 佔幾成？"]),
        QuestionTopic(
            "emptyTickUsualPercent",
            english: [
                "How many ticks are usually empty?", "What is the usual share of empty ticks?",
                "What is normal for empty ticks in this epoch?",
            ],
            chinese: ["平常有多少 tick 是空的？", "空 tick 的正常比例是多少？", "本紀元通常的空 tick 比例為何？"]),
    ]
    private static let money = [
        QuestionTopic(
            "priceUSD",
            english: [
                "What is the price?", "How much is one QUBIC?", "What does QUBIC cost now?",
                "At which price does QUBIC trade?",
            ],
            chinese: ["價格是多少？", "一枚 QUBIC 多少錢？", "QUBIC 現在的價格？", "目前的交易價格是多少？"]),
        QuestionTopic(
            "priceReturnDayPercent",
            english: [
                "How has the price changed within a day?", "What is the price change over 24 hours?",
                "Is the price up or down since yesterday?",
            ],
            chinese: ["價格一天內變化多少？", "二十四小時的漲跌幅是多少？", "價格比昨天漲還是跌？"]),
        QuestionTopic(
            "priceSwingPercent",
            english: [
                "How large was the last price swing?", "Did the price jump in the last half hour?",
                "What was the largest price move lately?",
            ],
            chinese: ["最近的價格波動有多大？", "過去半小時價格有劇烈變動嗎？", "近期最大的價格變動是多少？"]),
        QuestionTopic(
            "marketCapUSD",
            english: [
                "What is the market capitalization?", "How large is the market cap?", "What is Qubic worth in all?",
            ],
            chinese: ["市值是多少？", "目前市值有多大？", "Qubic 總市值為何？"]),
        QuestionTopic(
            "circulatingSupplyQus",
            english: ["How many qus circulate?", "What is the circulating supply?", "How large is the supply?"],
            chinese: ["流通量是多少？", "目前有多少 qus 在流通？", "流通供給有多大？"]),
        QuestionTopic(
            "burnedQus",
            english: [
                "How much has been burned?", "How many qus were burned so far?", "What is the amount of burned qus?",
            ],
            chinese: ["已銷毀多少？", "到目前為止銷毀了多少 qus？", "銷毀總量是多少？"]),
    ]
    private static let ahead = [
        QuestionTopic(
            "forecastTick1h",
            english: [
                "Which tick will it be in an hour?", "Where will the tick be one hour from now?",
                "What is the forecast of the tick for the next hour?",
            ],
            chinese: ["一小時後 tick 會到多少？", "預測一小時後的 tick？", "再過一小時會是第幾個 tick？"]),
        QuestionTopic(
            "forecastTickEpochEnd",
            english: [
                "At which tick will the epoch end?", "What tick is expected at the end of the epoch?",
                "How far will the tick get by the epoch's end?",
            ],
            chinese: ["紀元結束時 tick 會到多少？", "預計本紀元結束在哪個 tick？", "到紀元結束會走到第幾個 tick？"]),
        QuestionTopic(
            "forecastQuality6h",
            english: [
                "What will the tick quality be in six hours?", "Where is the quality heading within six hours?",
                "What is the forecast of the quality?",
            ],
            chinese: ["六小時後的 tick 品質會是多少？", "品質在六小時內會如何變化？", "品質的預測是多少？"]),
        QuestionTopic(
            "forecastPrice24h",
            english: [
                "What will the price be tomorrow?", "What is the price forecast for 24 hours?",
                "Where will the price be in a day?",
            ],
            chinese: ["明天的價格會是多少？", "二十四小時後的價格預測？", "一天後價格會到哪裡？"]),
    ]
}
