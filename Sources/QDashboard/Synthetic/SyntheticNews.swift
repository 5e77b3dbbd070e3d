import Foundation
import Science

/// News drawn with a sentiment: wordings with slots, in the request's language.
struct SyntheticNews {
    /// positive, neutral or negative.
    let sentiment: String
    let items: [NewsItem]

    init(language: Language, before time: Double, random: inout SeededRandom) {
        sentiment = ["positive", "neutral", "negative"][random.below(3)]
        let words = NewsWordings.of(language)
        var lists: [[String]] = []
        switch sentiment {
        case "neutral" where random.chance(0.15):
            // Good and bad news in balance.
            lists = [words.positive, words.negative]
        case "neutral": lists = Array(repeating: words.neutral, count: 1 + random.below(3))
        default:
            let main = sentiment == "positive" ? words.positive : words.negative
            lists = Array(repeating: main, count: 1 + random.below(3))
            lists += Array(repeating: words.neutral, count: random.below(2))
        }
        random.shuffle(&lists)
        var titles: [String] = []
        for list in lists {
            var template = list[random.below(list.count)]
            while titles.contains(template) { template = list[random.below(list.count)] }
            titles.append(template)
        }
        var at = time - random.uniform(600, 7200)
        var items: [NewsItem] = []
        for template in titles {
            items.append(
                NewsItem(
                    at: Date(timeIntervalSince1970: at.rounded()),
                    source: words.sources[random.below(words.sources.count)],
                    title: NewsWordings.filled(template, words, &random)))
            at -= random.uniform(1200, 20_000)
        }
        self.items = items.reversed()
    }
}

struct NewsWordings {
    var positive, neutral, negative, sources, exchanges, projects, cities: [String]

    static func of(_ language: Language) -> NewsWordings { language == .english ? english : chinese }

    /// Slots: %e an exchange, %p a project, %c a city, %n a whole number, %r a percentage, %w a count of weeks.
    static func filled(_ template: String, _ words: NewsWordings, _ random: inout SeededRandom) -> String {
        func pick(_ list: [String], _ random: inout SeededRandom) -> String { list[random.below(list.count)] }
        return template.replacing("%e", with: pick(words.exchanges, &random))
            .replacing("%p", with: pick(words.projects, &random)).replacing("%c", with: pick(words.cities, &random))
            .replacing("%n", with: String(2 + random.below(48))).replacing("%r", with: String(3 + random.below(57)))
            .replacing("%w", with: String(2 + random.below(10)))
    }

    private static let english = NewsWordings(
        positive: [
            "%e lists QUBIC for spot trading", "Mining pool %p moves its whole hash rate to Qubic",
            "Qubic passes an independent security audit without findings", "Active wallets grow by %r % in %w weeks",
            "%p completes its integration with Qubic smart contracts",
            "Record attendance as Qubic developers meet in %c",
            "Network upgrade goes live smoothly, ticks are faster than before",
            "%e lifts its withdrawal limits for QUBIC",
            "Qubic wins an innovation award in %c", "Donations to the ecosystem fund rise by %r %",
            "Stress test passed: the network handles %n times its usual load", "Large holders add to their positions",
            "%p announces a partnership with the Qubic team", "Burned supply reaches a new high, holders cheer",
            "Analysts raise their outlook for QUBIC after strong growth",
            "University of %c starts a research lab on Qubic",
            "Computors vote in favour of the fee reform by a wide margin", "Bridge to %p opens with strong demand",
        ],
        neutral: [
            "Weekly community call set for Thursday", "Qubic team publishes its report on the last %w weeks",
            "%e announces a scheduled wallet maintenance", "Developer survey open until the end of the month",
            "New version of the wallet is available for testing", "Meetup planned in %c next month",
            "Documentation moves to a new address", "%p publishes a comparison of consensus protocols",
            "Computor list for the coming epoch is out", "Questions and answers with the core team are online",
            "QUBIC trades sideways on %e", "Interview with a Qubic developer from %c",
            "Explorer changes the look of its charts", "Translation of the handbook into %n languages continues",
        ],
        negative: [
            "%e suspends QUBIC deposits after irregular transfers", "Exploit drains a liquidity pool of %p",
            "Security researchers warn of a flaw in a Qubic wallet",
            "Mining pool %p leaves Qubic, hash rate falls by %r %",
            "%e delists QUBIC", "Regulator in %c opens an inquiry into QUBIC sales",
            "Users report lost transactions during the last epoch", "Lead developer resigns in a dispute over funds",
            "Bridge to %p halted after a hack", "Price falls as large holders sell",
            "Phishing campaign targets Qubic users, %n wallets emptied", "Network upgrade postponed after failed tests",
            "Lawsuit filed in %c against a Qubic service provider", "Trading volume collapses by %r % in %w weeks",
            "Computors fail to agree, emergency meeting called", "Outage at %p leaves Qubic nodes offline",
            "Analysts cut their outlook for QUBIC after weak data", "Denial of service attack slows public Qubic nodes",
        ],
        sources: [
            "Community Forum", "Exchange Notice", "Computor Bulletin", "Crypto Desk", "Weekly Digest",
            "Developer Blog", "Market Wire", "Chain Monitor",
        ],
        exchanges: ["NorthGate Exchange", "Bitharbor", "CoinMeridian", "Tradewell", "Zephyr Markets", "LumenX"],
        projects: ["Helios Pool", "OpenLattice", "Tessera Labs", "BlueQuarry", "Nimbus Swap", "Aurora Mining"],
        cities: ["Lisbon", "Taipei", "Vienna", "Singapore", "Toronto", "Warsaw", "Nairobi"])

    private static let chinese = NewsWordings(
        positive: [
            "%e 上架 QUBIC 現貨交易", "礦池 %p 將全部算力轉向 Qubic", "Qubic 通過獨立資安稽核，未發現問題",
            "活躍錢包 %w 週內成長 %r%", "%p 完成與 Qubic 智能合約的整合", "Qubic 開發者大會在%c舉行，出席人數創新高",
            "網路升級順利上線，tick 速度更快", "%e 放寬 QUBIC 提領上限", "Qubic 在%c獲頒創新獎", "生態基金捐款增加 %r%",
            "壓力測試過關：網路承受平時 %n 倍的負載", "大戶持續加碼 QUBIC", "%p 宣布與 Qubic 團隊合作",
            "銷毀量再創新高，持有者叫好", "成長強勁，分析師調高 QUBIC 展望", "%c大學成立 Qubic 研究實驗室",
            "算力節點以壓倒性多數通過手續費改革", "通往 %p 的跨鏈橋開通，需求熱絡",
        ],
        neutral: [
            "每週社群會議訂於週四舉行", "Qubic 團隊發布過去 %w 週的報告", "%e 公告例行錢包維護",
            "開發者問卷開放填寫至月底", "新版錢包開放測試", "下個月將在%c舉辦聚會", "技術文件搬到新網址",
            "%p 發表共識協定比較", "下一紀元的算力節點名單出爐", "核心團隊問答紀錄上線", "QUBIC 在 %e 橫盤整理",
            "專訪來自%c的 Qubic 開發者", "區塊瀏覽器更換圖表樣式", "使用手冊持續翻譯成 %n 種語言",
        ],
        negative: [
            "%e 因異常轉帳暫停 QUBIC 儲值", "%p 的流動性池遭漏洞攻擊，資金被掏空", "資安研究員警告某款 Qubic 錢包有漏洞",
            "礦池 %p 退出 Qubic，算力下滑 %r%", "%e 宣布下架 QUBIC", "%c主管機關對 QUBIC 銷售展開調查",
            "使用者回報上一紀元交易遺失", "首席開發者因資金爭議辭職", "通往 %p 的跨鏈橋遭駭後停擺", "大戶拋售，價格下挫",
            "釣魚攻擊鎖定 Qubic 使用者，%n 個錢包被清空", "測試失敗，網路升級延期", "Qubic 服務商在%c遭提告",
            "交易量 %w 週內驟減 %r%", "算力節點無法達成共識，緊急召開會議", "%p 服務中斷，Qubic 節點離線",
            "數據疲弱，分析師調降 QUBIC 展望", "阻斷服務攻擊拖慢公共 Qubic 節點",
        ],
        sources: ["社群論壇", "交易所公告", "算力節點通報", "加密快訊", "每週摘要", "開發者部落格", "市場電訊", "鏈上觀測"],
        exchanges: ["北門交易所", "Bitharbor", "幣子午", "Tradewell", "和風市場", "LumenX"],
        projects: ["Helios 礦池", "OpenLattice", "Tessera 實驗室", "BlueQuarry", "Nimbus Swap", "極光礦業"],
        cities: ["里斯本", "臺北", "維也納", "新加坡", "多倫多", "華沙", "奈洛比"])
}
