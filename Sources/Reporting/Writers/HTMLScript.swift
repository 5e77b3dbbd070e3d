/// The report's own script: it draws what `ChartData` holds, with Chart.js, in the page's colours. Names and ids reach it
/// as data only, and only a canvas shows them.
enum HTMLScript {
    static let javascript = #"""
        (function () {
          "use strict";
          var data = JSON.parse(document.getElementById("data").textContent);
          var root = document.documentElement;
          var charts = [];

          function colour(name) { return getComputedStyle(root).getPropertyValue("--" + name).trim(); }
          function time(ms) {
            if (ms === 0) return "0";
            if (ms < 1) return (ms * 1000).toFixed(0) + " µs";
            if (ms < 1000) return +ms.toPrecision(3) + " ms";
            return +(ms / 1000).toPrecision(3) + " s";
          }
          function narrow() { return root.clientWidth < 480; }
          function canvas(id) { return document.getElementById(id); }

          // One unit for all ticks of an axis.
          function ticks(max) {
            var seconds = max >= 2000;
            return function (value) {
              return seconds ? +(value / 1000).toFixed(3) + " s" : +value.toFixed(3) + " ms";
            };
          }
          function axis(title, extra) {
            return Object.assign({
              title: { display: true, text: title, color: colour("muted"), font: { size: 12 } },
              grid: { color: colour("line"), drawTicks: false, borderColor: colour("line") },
              ticks: { color: colour("muted"), padding: 8, maxTicksLimit: narrow() ? 4 : 7, maxRotation: 0, includeBounds: false, font: { size: 12 } }
            }, extra || {});
          }
          function timeAxis(title, max, extra) {
            var made = axis(title, Object.assign({ type: "linear", min: 0 }, extra || {}));
            made.ticks.callback = ticks(max);
            return made;
          }
          function legend(shown) {
            return { display: shown, position: "top", align: "start",
              labels: { color: colour("muted"), boxWidth: 10, boxHeight: 10, usePointStyle: true, padding: 14, font: { size: 12.5 } } };
          }
          function draw(id, configuration) {
            var node = canvas(id);
            if (!node) return;
            configuration.options = Object.assign({
              animation: false, responsive: true, maintainAspectRatio: false, locale: "en"
            }, configuration.options);
            charts.push(new Chart(node, configuration));
          }

          function cdf() {
            if (!data.cdf.length) return;
            var colours = [colour("accent"), colour("second")];
            var sets = data.cdf.map(function (curve, i) {
              return { label: curve.label, data: curve.points.map(function (p) { return { x: p[0], y: p[1] * 100 }; }),
                borderColor: colours[i], backgroundColor: colours[i], borderWidth: 2, pointRadius: 0, stepped: "before",
                pointStyle: "line" };
            });
            var max = Math.max.apply(null, data.cdf.map(function (c) { return c.points[c.points.length - 1][0]; }));
            if (data.target && data.target.ms <= max * 3) {
              max = Math.max(max, data.target.ms * 1.05);
              sets.push({ label: "target " + data.target.text, data: [{ x: data.target.ms, y: 0 }, { x: data.target.ms, y: 100 }],
                borderColor: colour("ink"), backgroundColor: colour("ink"), borderWidth: 1.5, borderDash: [5, 4],
                pointRadius: 0, pointStyle: "line" });
            }
            draw("cdf", { type: "line", data: { datasets: sets }, options: {
              parsing: false, interaction: { mode: "nearest", axis: "x", intersect: false },
              scales: { x: timeAxis("time", max, { max: max }), y: axis("requests answered, %", { min: 0, max: 100 }) },
              plugins: { legend: legend(true), tooltip: { callbacks: {
                title: function () { return ""; },
                label: function (c) { return c.dataset.label + ": " + c.parsed.y.toFixed(1) + " % within " + time(c.parsed.x); } } } }
            } });
          }

          function histogram(id, bins, title) {
            if (!bins) return;
            var width = bins.width;
            draw(id, { type: "bar", data: { datasets: [{
                data: bins.counts.map(function (n, i) { return { x: bins.start + (i + 0.5) * width, y: n }; }),
                backgroundColor: colour("accent"), barPercentage: 1, categoryPercentage: 0.94, borderRadius: 2 }] },
              options: { parsing: false,
                scales: { x: timeAxis(title, bins.start + width * bins.counts.length,
                    { min: bins.start, max: bins.start + width * bins.counts.length, offset: false, grid: { display: false } }),
                  y: axis("requests", { beginAtZero: true, ticks: { precision: 0, color: colour("muted"), padding: 8, maxTicksLimit: 6 } }) },
                plugins: { legend: legend(false), tooltip: { callbacks: {
                  title: function (c) { var x = c[0].parsed.x; return time(Math.max(0, x - width / 2)) + " – " + time(x + width / 2); },
                  label: function (c) { return c.parsed.y + (c.parsed.y === 1 ? " request" : " requests"); } } } } } });
          }

          function prompts() {
            if (!data.prompts.length) return;
            draw("prompts", { type: "scatter", data: { datasets: [{
                data: data.prompts.map(function (p) { return { x: p[0], y: p[1] }; }),
                backgroundColor: colour("second") + "99", borderWidth: 0, pointRadius: 3, pointHoverRadius: 5 }] },
              options: { parsing: false,
                scales: { x: axis("prompt tokens", { beginAtZero: false }),
                  y: timeAxis("time to first token", Math.max.apply(null, data.prompts.map(function (p) { return p[1]; }))) },
                plugins: { legend: legend(false), tooltip: { callbacks: { label: function (c) {
                  return c.parsed.x + " prompt tokens, first token after " + time(c.parsed.y); } } } } } });
          }

          function timeline() {
            var w = data.timeline;
            if (!w.ids.length) return;
            var parts = [["queue", "Queue", "third"], ["prefill", "Prefill", "second"], ["decode", "Decode", "accent"],
              ["whole", "Whole request", "accent"], ["failed", "Not succeeded", "fail"]];
            var sets = parts.filter(function (p) { return w[p[0]].some(Boolean); }).map(function (p) {
              return { label: p[1], data: w[p[0]], backgroundColor: colour(p[2]), borderSkipped: false, borderRadius: 1.5,
                grouped: false, barPercentage: 0.86, categoryPercentage: 1, minBarLength: 1, pointStyle: "rectRounded" };
            });
            draw("timeline", { type: "bar", data: { labels: w.ids, datasets: sets }, options: {
              indexAxis: "y", interaction: { mode: "index", axis: "y", intersect: false },
              scales: { x: timeAxis("since the start of the run", w.end, { min: w.begin, max: w.end }),
                y: { display: false, reverse: false } },
              plugins: { legend: legend(true), tooltip: { callbacks: { label: function (c) {
                var s = c.raw; return s ? c.dataset.label + ": " + time(s[1] - s[0]) : ""; } } } }
            } });
          }

          function reliability() {
            (data.reliability || []).forEach(function (choice) {
              var colours = ["accent", "second", "third", "fail"].map(colour);
              var sets = choice.curves.map(function (curve, i) {
                var most = Math.max.apply(null, curve.points.map(function (p) { return p[2]; }));
                return { label: curve.label, borderColor: colours[i % 4], backgroundColor: colours[i % 4], borderWidth: 2,
                  data: curve.points.map(function (p) { return { x: p[0], y: p[1], n: p[2] }; }), pointStyle: "circle",
                  pointRadius: curve.points.map(function (p) { return 2.5 + 5 * Math.sqrt(p[2] / most); }) };
              });
              sets.push({ label: "as it says", data: [{ x: 0, y: 0 }, { x: 100, y: 100 }], borderColor: colour("muted"),
                backgroundColor: colour("muted"), borderWidth: 1.5, borderDash: [5, 4], pointRadius: 0, pointStyle: "line" });
              draw(choice.id, { type: "line", data: { datasets: sets }, options: {
                parsing: false, interaction: { mode: "nearest", intersect: false },
                scales: { x: axis("confidence, %", { type: "linear", min: 0, max: 100 }),
                  y: axis("right, %", { min: 0, max: 100 }) },
                plugins: { legend: legend(true), tooltip: { callbacks: {
                  title: function () { return ""; },
                  label: function (c) { return c.raw.n ? c.dataset.label + ": " + c.parsed.y.toFixed(1) + " % right at " +
                    c.parsed.x.toFixed(1) + " % confidence, " + c.raw.n + " answers" : ""; } } } }
              } });
            });
          }

          function drawAll() {
            charts.forEach(function (chart) { chart.destroy(); });
            charts = [];
            Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
            cdf();
            histogram("histogram", data.histogram, "total time");
            prompts();
            histogram("tpot", data.tpot, "time per output token");
            timeline();
            reliability();
          }

          var button = document.querySelector("button.theme");
          var media = window.matchMedia("(prefers-color-scheme: dark)");
          function isDark() { return root.dataset.theme ? root.dataset.theme === "dark" : media.matches; }
          function name() { button.textContent = isDark() ? "Light" : "Dark"; }
          button.hidden = false;
          button.addEventListener("click", function () {
            root.dataset.theme = isDark() ? "light" : "dark";
            name();
            drawAll();
          });
          media.addEventListener("change", function () { name(); drawAll(); });
          window.addEventListener("beforeprint", drawAll);
          window.addEventListener("afterprint", drawAll);
          name();
          drawAll();
        })();
        """#
}
