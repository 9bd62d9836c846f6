// Asks the free demo for a brief and draws it. The codec has no times: candles are dated from the header
// where none is missing between the first and the last, else they are numbered.
"use strict";

const SECONDS = { "1m": 60, "5m": 300, "15m": 900, "1h": 3600, "4h": 14400, "1d": 86400 };
const BULLISH = new Set(["bullish_engulfing", "hammer", "double_bottom"]);
const BEARISH = new Set(["bearish_engulfing", "double_top", "head_and_shoulders"]);
const byId = (id) => document.getElementById(id);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const words = (name) => name.replaceAll("_", " ");
let chart = null;

function candlesOf(brief) {
  const step = SECONDS[brief.header.tf];
  const first = brief.header.t0 / 1000;
  const dated = (brief.header.t1 - brief.header.t0) / 1000 === (brief.header.n - 1) * step;
  const candles = brief.codec.rows.split(";").map((row, index) => {
    const [open, high, low, close, volume] = row.split(",").map(Number);
    return { time: dated ? first + index * step : index + 1, open, high, low, close, volume };
  });
  return { candles, dated };
}

function colourOf(name) {
  if (BULLISH.has(name)) return colour("--up");
  return BEARISH.has(name) ? colour("--down") : colour("--soft");
}

function newChart(precision, dated) {
  if (chart) chart.remove();
  chart = LightweightCharts.createChart(byId("chart"), {
    autoSize: true,
    layout: { background: { color: colour("--back") }, textColor: colour("--ink"), attributionLogo: true },
    grid: { vertLines: { color: colour("--line") }, horzLines: { color: colour("--line") } },
    rightPriceScale: { borderColor: colour("--line") },
    timeScale: {
      borderColor: colour("--line"), timeVisible: true, secondsVisible: false,
      ...(dated ? {} : { tickMarkFormatter: (number) => `#${number}` }),
    },
    localization: dated ? {} : { timeFormatter: (number) => `candle ${number}` },
  });
  const series = chart.addSeries(LightweightCharts.CandlestickSeries, {
    upColor: colour("--up"), wickUpColor: colour("--up"), borderVisible: false,
    downColor: colour("--down"), wickDownColor: colour("--down"),
    priceFormat: { type: "price", precision, minMove: 10 ** -precision },
  });
  return series;
}

function drawLevels(series, levels) {
  for (const [side, name] of [["support", "--up"], ["resistance", "--down"]]) {
    for (const level of levels[side]) {
      series.createPriceLine({
        price: level.price, color: colour(name), title: `${side} ${level.strength}`, lineWidth: 1,
        lineStyle: LightweightCharts.LineStyle.Dashed, axisLabelVisible: true,
      });
    }
  }
}

function drawSpan(candles, pattern) {
  // From its first to its last candle: over the highs of tops, under the lows of bottoms.
  const from = candles[pattern.at - pattern.span + 1];
  const to = candles[pattern.at];
  const edge = BULLISH.has(pattern.name) ? "low" : "high";
  const line = chart.addSeries(LightweightCharts.LineSeries, {
    color: colourOf(pattern.name), lineWidth: 2, priceLineVisible: false, lastValueVisible: false,
    crosshairMarkerVisible: false,
  });
  line.setData([{ time: from.time, value: from[edge] }, { time: to.time, value: to[edge] }]);
}

function drawPatterns(series, candles, patterns) {
  const markers = patterns.map((pattern) => ({
    time: candles[pattern.at].time,
    position: BULLISH.has(pattern.name) ? "belowBar" : "aboveBar",
    shape: BULLISH.has(pattern.name) ? "arrowUp" : BEARISH.has(pattern.name) ? "arrowDown" : "circle",
    color: colourOf(pattern.name),
    text: `${words(pattern.name)} ${pattern.confidence}`,
  }));
  markers.sort((a, b) => a.time - b.time);
  LightweightCharts.createSeriesMarkers(series, markers);
  patterns.filter((pattern) => pattern.span > 2).forEach((pattern) => drawSpan(candles, pattern));
}

function fill(table, rows) {
  table.replaceChildren(...rows.map(([label, value, kind]) => {
    const row = document.createElement("tr");
    for (const text of [label, value]) {
      const cell = document.createElement("td");
      cell.textContent = text;
      if (kind) cell.className = kind;
      row.append(cell);
    }
    return row;
  }));
}

function tell(brief, decimals) {
  const { regime, indicators, levels, patterns } = brief.analysis;
  byId("line").textContent = brief.analysis.nl;
  fill(byId("figures"), [
    ["trend", `${regime.trend}, strength ${regime.strength}`],
    ["ATR of the close", `${regime.volPct} %`],
    ["RSI 14", `${indicators.rsi.v} ${indicators.rsi.state}`],
    ["EMA 20", `${indicators.ema.v.toFixed(decimals)} ${words(indicators.ema.state)}`],
    ["SAX", brief.codec.sax],
    ["candles", `${brief.header.n} of ${brief.header.src}`],
  ]);
  fill(byId("levels"), [
    ...levels.resistance.map((level) => [`resistance ${level.price.toFixed(decimals)}`, level.strength, "down"]),
    ...levels.support.map((level) => [`support ${level.price.toFixed(decimals)}`, level.strength, "up"]),
  ]);
  fill(byId("patterns"), patterns.map((p) => [`${words(p.name)}, candle ${p.at + 1}`, p.confidence]));
  byId("none").hidden = patterns.length > 0;
  byId("disclaimer").textContent = brief.disclaimer;
  byId("json").textContent = JSON.stringify(brief, null, 1);
  byId("details").hidden = byId("answer").hidden = false;
}

function decimalsOf(brief) {
  const prices = brief.codec.rows.split(";").flatMap((row) => row.split(",").slice(0, 4));
  return Math.max(...prices.map((price) => (price.split(".")[1] || "").length));
}

function draw(brief) {
  const { candles, dated } = candlesOf(brief);
  const decimals = decimalsOf(brief);
  const series = newChart(decimals, dated);
  series.setData(candles);
  drawLevels(series, brief.analysis.levels);
  drawPatterns(series, candles, brief.analysis.patterns);
  // Room to the right, so that no level's name covers the newest candles.
  chart.timeScale().setVisibleLogicalRange({ from: -1, to: candles.length * 1.16 });
  tell(brief, decimals);
  document.body.dataset.candles = candles.length;
}

async function ask(ticker, timeframe) {
  document.body.dataset.state = "asking";
  try {
    const answer = await fetch("/v1/demo", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      // Every digit there is: pairs such as EURUSD live behind the second decimal.
      body: JSON.stringify({ ticker, timeframe, decimals: 8 }),
    });
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.message || body.error);
    draw(body);
    document.body.dataset.state = "drawn";
  } catch (problem) {
    byId("line").textContent = problem.message;
    document.body.dataset.state = "failed";
  }
}

const asked = new URLSearchParams(location.search);
if (asked.has("ticker")) byId("ticker").value = asked.get("ticker");
if (asked.has("timeframe")) byId("timeframe").value = asked.get("timeframe");
byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  ask(byId("ticker").value, byId("timeframe").value);
});
ask(byId("ticker").value, byId("timeframe").value || "1h");
