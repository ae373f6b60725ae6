// The small line in a tile.

import { svg } from "./dom.js";

const SPARK = { width: 120, height: 32, points: 60 };

/** A small line without axes; decorative, the figure beside it says what matters. */
export function sparkline(values, color) {
  const known = thin(
    values.map((value) => value ?? 0),
    SPARK.points,
  );
  const top = Math.max(...known, 0) || 1;
  const step = SPARK.width / Math.max(known.length - 1, 1);
  const y = (value) => (SPARK.height - 2 - (value / top) * (SPARK.height - 4)).toFixed(1);
  const line = known.map((value, index) => `${(index * step).toFixed(1)},${y(value)}`).join(" ");
  const drawing = svg(
    "svg",
    { class: `spark ${color}`, viewBox: `0 0 ${SPARK.width} ${SPARK.height}`, preserveAspectRatio: "none" },
    svg("polygon", { points: `0,${SPARK.height} ${line} ${SPARK.width},${SPARK.height}` }),
    svg("polyline", { points: line }),
  );
  drawing.setAttribute("aria-hidden", "true");
  return drawing;
}

function thin(values, points) {
  const group = Math.ceil(values.length / points);
  if (group <= 1) return values;
  return Array.from({ length: Math.ceil(values.length / group) }, (_, index) => {
    const part = values.slice(index * group, (index + 1) * group);
    return part.reduce((sum, value) => sum + value, 0) / part.length;
  });
}
