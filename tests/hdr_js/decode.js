// Reads lines of base64, each some histograms in the V2 compressed format with spaces between them.
// Prints for each line, as JSON, what the histograms of that line tell together.
"use strict";

const fs = require("node:fs");
const hdr = require("hdr-histogram-js");

const PERCENTILES = [50, 90, 95, 99, 99.9, 100];

function told(line) {
  const parts = line.split(" ").map((encoded) => hdr.decodeFromCompressedBase64(encoded));
  const counts = parts.map((part) => part.totalCount);
  const whole = parts[0];
  for (const part of parts.slice(1)) {
    whole.add(part);
  }
  return {
    counts,
    total: whole.totalCount,
    percentiles: PERCENTILES.map((percentile) => whole.getValueAtPercentile(percentile)),
    lowest: whole.minNonZeroValue,
  };
}

const lines = fs.readFileSync(0, "utf8").trim().split("\n");
console.log(JSON.stringify(lines.map(told)));
