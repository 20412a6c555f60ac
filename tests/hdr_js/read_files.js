// Reads JSON: {"hlog": the text of a histogram log}.
// Prints, as JSON, its intervals, and what they tell together: also as a percentile distribution.
"use strict";

const fs = require("node:fs");
const hdr = require("hdr-histogram-js");

const PERCENTILES = [50, 75, 90, 95, 99, 99.9];
const US_PER_MS = 1000;

const { hlog } = JSON.parse(fs.readFileSync(0, "utf8"));
const reader = new hdr.HistogramLogReader(hlog);
const intervals = [];
let whole = null;
for (let part = reader.nextIntervalHistogram(); part; part = reader.nextIntervalHistogram()) {
  intervals.push({
    start_ms: part.startTimeStampMsec,
    end_ms: part.endTimeStampMsec,
    count: part.totalCount,
    max_ms: part.maxValue / US_PER_MS,
  });
  if (whole === null) {
    whole = part;
  } else {
    whole.add(part);
  }
}
console.log(
  JSON.stringify({
    intervals,
    whole: whole && {
      count: whole.totalCount,
      max_ms: whole.maxValue / US_PER_MS,
      percentiles_ms: PERCENTILES.map((p) => whole.getValueAtPercentile(p) / US_PER_MS),
      hgrm: whole.outputPercentileDistribution(5, US_PER_MS),
    },
  }),
);
