/// The report's style sheet. No font, image or script is fetched: the reader's own system fonts set the text.
package enum HTMLStyle {
    private static let light = """
        --paper: #f8f7f3; --card: #ffffff; --ink: #1c1c21; --muted: #64646d; --line: #e3e1da; --track: #eceae4;
        --accent: #3b4fd8; --accent-soft: #dfe3fb; --second: #0d8a86; --third: #b9b7b0;
        --pass: #15803d; --pass-soft: #e3f3e7; --fail: #c1272d; --fail-soft: #fbe6e5; --open: #8a6410; --open-soft: #f8efd8;
        --shadow: 0 1px 2px rgba(28, 28, 33, .05), 0 8px 24px -12px rgba(28, 28, 33, .10);
        color-scheme: light;
        """

    private static let dark = """
        --paper: #111216; --card: #191b20; --ink: #ececf0; --muted: #9c9eaa; --line: #2a2d35; --track: #2a2d35;
        --accent: #8fa1ff; --accent-soft: #2a3159; --second: #4cc7bd; --third: #5d616e;
        --pass: #5fd08b; --pass-soft: #16301f; --fail: #ff8078; --fail-soft: #3a1c1c; --open: #e2b64b; --open-soft: #332a12;
        --shadow: none;
        color-scheme: dark;
        """

    package static let css = """
        :root { \(light) }
        @media (prefers-color-scheme: dark) { :root:not([data-theme="light"]) { \(dark) } }
        :root[data-theme="dark"] { \(dark) }

        * { box-sizing: border-box; }
        html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
        body {
          margin: 0; background: var(--paper); color: var(--ink);
          font: 16px/1.55 "Inter", ui-sans-serif, system-ui, -apple-system, "Segoe UI", "Noto Sans", "Noto Sans CJK TC",
            "PingFang TC", "Microsoft JhengHei", sans-serif;
          font-feature-settings: "tnum", "cv05"; -webkit-font-smoothing: antialiased;
        }
        main { max-width: 1120px; margin: 0 auto; padding: 0 24px 72px; }
        h1, h2, h3, p, dl, dd, figure { margin: 0; }

        .top { display: flex; justify-content: space-between; align-items: center; gap: 16px; padding: 24px 0 0; }
        .eyebrow { color: var(--muted); font-size: 13px; letter-spacing: .02em; overflow-wrap: anywhere; }
        button.theme {
          font: inherit; font-size: 13px; color: var(--muted); background: none; border: 1px solid var(--line);
          border-radius: 999px; padding: 5px 14px; cursor: pointer; white-space: nowrap;
        }
        button.theme:hover, button.theme:focus-visible { color: var(--ink); border-color: var(--muted); }

        header.title { padding: 44px 0 36px; display: grid; grid-template-columns: 1fr auto; gap: 32px; align-items: end; }
        h1 {
          font-family: "Iowan Old Style", "Palatino Linotype", Palatino, "Source Serif 4", Charter, Georgia, serif;
          font-weight: 600; font-size: clamp(30px, 5vw, 50px); line-height: 1.08; letter-spacing: -.015em;
          overflow-wrap: anywhere; text-wrap: balance;
        }
        .lede { margin-top: 14px; color: var(--muted); font-size: 17px; max-width: 46em; overflow-wrap: anywhere; }
        .score { text-align: right; white-space: nowrap; }
        .score .big { font-size: 56px; line-height: 1; font-weight: 650; letter-spacing: -.03em; }
        .score .big small { font-size: 26px; font-weight: 500; color: var(--muted); letter-spacing: 0; }
        .score p { color: var(--muted); font-size: 14px; margin-top: 8px; }
        .score.pass .big { color: var(--pass); } .score.fail .big { color: var(--fail); }
        .score.open .big { color: var(--open); }

        .figures { display: grid; grid-template-columns: repeat(4, 1fr); border-block: 1px solid var(--line); }
        .figures div { padding: 20px 20px 20px 0; }
        .figures div + div { padding-left: 20px; border-left: 1px solid var(--line); }
        .figures dt { color: var(--muted); font-size: 13px; }
        .figures dd { font-size: 27px; font-weight: 600; letter-spacing: -.02em; line-height: 1.25; margin-top: 2px; }
        .figures dd small { font-size: 15px; font-weight: 500; color: var(--muted); letter-spacing: 0; }

        section { margin-top: 56px; }
        h2 { font-size: 21px; font-weight: 650; letter-spacing: -.012em; line-height: 1.3; }
        h2 + .about { margin-top: 4px; }
        h3 { font-size: 14px; font-weight: 600; }
        .about { color: var(--muted); font-size: 14.5px; max-width: 62em; }
        .card {
          background: var(--card); border: 1px solid var(--line); border-radius: 14px; box-shadow: var(--shadow);
          padding: 20px 22px; margin-top: 18px; min-width: 0;
        }
        .pair { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 18px; }
        .card.flush { padding: 4px 0; overflow: hidden; }
        figure figcaption { color: var(--muted); font-size: 13px; margin-top: 2px; }
        .chart { position: relative; height: 280px; margin-top: 14px; }
        .chart.tall { height: 460px; }

        .verdicts { width: 100%; border-collapse: collapse; }
        .verdicts th {
          text-align: left; font-size: 12.5px; font-weight: 500; color: var(--muted); padding: 12px 14px 9px;
          border-bottom: 1px solid var(--line);
        }
        .verdicts td { padding: 13px 14px; border-bottom: 1px solid var(--line); vertical-align: top; }
        .verdicts tr:last-child td { border-bottom: 0; }
        .verdicts th:first-child, .verdicts td:first-child { padding-left: 22px; width: 1%; }
        .verdicts th:last-child, .verdicts td:last-child { padding-right: 22px; }
        .verdicts td.what { width: 46%; }
        .verdicts .n { text-align: right; white-space: nowrap; }
        .verdicts .measured { font-weight: 600; }
        .verdicts .name { font-weight: 600; overflow-wrap: anywhere; }
        .verdicts .remark { color: var(--muted); font-size: 13.5px; line-height: 1.45; margin-top: 2px; overflow-wrap: anywhere; }
        .badge {
          display: inline-flex; align-items: center; gap: 6px; border-radius: 999px; padding: 2px 11px 2px 8px;
          font-size: 13px; font-weight: 600; white-space: nowrap;
        }
        .badge::before { font-weight: 700; }
        .badge.pass { color: var(--pass); background: var(--pass-soft); } .badge.pass::before { content: "✓"; }
        .badge.fail { color: var(--fail); background: var(--fail-soft); } .badge.fail::before { content: "✕"; }
        .badge.open { color: var(--open); background: var(--open-soft); } .badge.open::before { content: "–"; }
        .gauge { position: relative; width: 120px; height: 6px; border-radius: 3px; background: var(--track); margin-top: 9px; }
        .gauge i { position: absolute; inset: 0 auto 0 0; border-radius: 3px; background: var(--pass); }
        .gauge.fail i { background: var(--fail); }
        .gauge b { position: absolute; top: -4px; bottom: -4px; width: 2px; margin-left: -1px; background: var(--ink); border-radius: 1px; }

        .scroll { overflow-x: auto; }
        table.plain { width: 100%; border-collapse: collapse; font-size: 14px; }
        table.plain th, table.plain td { padding: 8px 12px; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
        table.plain th:first-child, table.plain td:first-child { text-align: left; padding-left: 22px; }
        table.plain th:last-child, table.plain td:last-child { padding-right: 22px; }
        table.plain thead th { font-size: 12.5px; font-weight: 500; color: var(--muted); }
        table.plain tbody th { font-weight: 600; }
        table.plain tr:last-child > * { border-bottom: 0; }
        table.plain .spread { display: block; color: var(--muted); font-size: 12px; }
        table.plain .words { min-width: 9em; text-align: left; white-space: normal; overflow-wrap: anywhere; }

        .tablehead { padding: 14px 22px 6px; } .tablehead em { font-style: normal; font-weight: 400; color: var(--muted); margin-left: 6px; }
        .caption { color: var(--muted); font-size: 13px; margin-top: 2px; }
        table.confusion { border-collapse: separate; border-spacing: 3px; margin-top: 14px; font-size: 13.5px; width: 100%; }
        table.confusion th { font-weight: 500; color: var(--muted); padding: 4px 6px; text-align: right; white-space: nowrap; }
        table.confusion thead th { text-align: center; }
        table.confusion thead th { white-space: normal; text-align: center; vertical-align: bottom; font-size: 12px; }
        table.confusion td { text-align: center; padding: 7px 6px; border-radius: 6px;
          background: color-mix(in srgb, var(--accent) calc(var(--share) * 62%), var(--track)); }

        .bars { display: grid; gap: 18px; }
        .bar .label { display: flex; justify-content: space-between; gap: 16px; font-size: 14.5px; }
        .bar .label span:first-child { font-weight: 600; overflow-wrap: anywhere; }
        .bar .label em { font-style: normal; font-weight: 400; color: var(--muted); }
        .bar .label span:last-child { white-space: nowrap; }
        .bar .track { position: relative; height: 14px; border-radius: 7px; background: var(--track); margin-top: 7px; }
        .bar .fill { position: absolute; inset: 0 auto 0 0; border-radius: 7px; background: var(--accent); }
        .bar .goal { position: absolute; top: -4px; bottom: -4px; width: 2px; margin-left: -1px; background: var(--ink); border-radius: 1px; }
        .bar .range { position: absolute; top: 5px; height: 4px; border-radius: 2px; background: var(--accent); opacity: .45; min-width: 2px; }
        .bar .dot {
          position: absolute; top: 0; width: 14px; height: 14px; margin-left: -7px; border-radius: 50%;
          background: var(--accent); border: 3px solid var(--card);
        }
        .bar p { color: var(--muted); font-size: 13.5px; margin-top: 6px; overflow-wrap: anywhere; }
        .legend { color: var(--muted); font-size: 13px; margin-top: 16px; }
        .legend i { display: inline-block; width: 2px; height: 12px; background: var(--ink); margin-right: 8px; vertical-align: -1px; }

        .facts { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 7px 20px; font-size: 14.5px; margin-top: 14px; }
        .facts dt { color: var(--muted); }
        .facts dd { overflow-wrap: anywhere; }
        .trio { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 18px; }
        .words dl { display: grid; grid-template-columns: minmax(8em, max-content) minmax(0, 1fr); gap: 8px 24px; font-size: 14.5px; margin-top: 16px; }
        .words dt { font-weight: 600; } .words dd { color: var(--muted); }
        ul.notes { margin: 12px 0 0; padding-left: 1.2em; overflow-wrap: anywhere; }
        .empty { color: var(--muted); font-size: 14.5px; margin-top: 14px; }
        footer { margin-top: 64px; padding-top: 18px; border-top: 1px solid var(--line); color: var(--muted); font-size: 13px; }

        @media (max-width: 900px) { .trio { grid-template-columns: minmax(0, 1fr); gap: 0; } }
        @media (max-width: 720px) {
          main { padding: 0 16px 56px; }
          header.title { grid-template-columns: minmax(0, 1fr); padding: 28px 0 24px; gap: 20px; }
          .score { text-align: left; }
          .figures { grid-template-columns: repeat(2, minmax(0, 1fr)); }
          .figures div, .figures div + div { padding: 14px 12px 14px 0; border-left: 0; }
          .figures div:nth-child(-n + 2) { border-bottom: 1px solid var(--line); }
          .figures dd { font-size: 22px; }
          .pair { grid-template-columns: minmax(0, 1fr); gap: 0; }
          section { margin-top: 44px; }
          .card { padding: 16px; }
          .chart { height: 240px; } .chart.tall { height: 380px; }
          .verdicts, .verdicts tbody, .verdicts tr { display: block; }
          .verdicts thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
          .verdicts tr { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 2px 12px; padding: 14px 16px; border-bottom: 1px solid var(--line); }
          .verdicts tr:last-child { border-bottom: 0; }
          .verdicts td, .verdicts td:first-child, .verdicts td:last-child { padding: 0; border: 0; width: auto; }
          .verdicts td.what { width: auto; grid-column: 1; grid-row: 1; }
          .verdicts td.badgecell { justify-self: end; grid-column: 2; grid-row: 1; }
          .verdicts td.measured { grid-column: 1; text-align: left; font-size: 18px; margin-top: 6px; white-space: normal; }
          .verdicts td.goal { justify-self: end; grid-column: 2; align-self: center; color: var(--muted); }
          .verdicts td.visual { grid-column: 1; } .verdicts td.margin { grid-column: 2; color: var(--muted); }
          .gauge { width: 100%; }
          .words dl { grid-template-columns: minmax(0, 1fr); gap: 0; } .words dd { margin-bottom: 10px; }
          table.plain th:first-child, table.plain td:first-child { padding-left: 16px; }
        }
        @media print {
          :root, :root[data-theme] { \(light) --paper: #fff; --shadow: none; }
          button.theme { display: none; } .card { break-inside: avoid; } section { margin-top: 32px; }
        }
        """
}
