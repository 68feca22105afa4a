// Tells whether somebody has zoomed into a live figure: its next drawing would show all of it again.

const LOOK_MS = 300;

// Whether an axis shows anything but what the figure came with.
const isElsewhere = (axis) => {
  if (!axis || axis.fixedrange) return false;
  const own = [axis._rangeInitial0, axis._rangeInitial1];
  if (own.some((end) => end === undefined)) return !axis.autorange;
  return axis.range.some((end, i) => Math.abs(end - own[i]) > 1e-9 * Math.max(1, Math.abs(own[i])));
};

export default function ({ data, setStateValue }) {
  const moved = ({ _fullLayout: layout }) => setStateValue("zoomed", isElsewhere(layout.xaxis) || isElsewhere(layout.yaxis));
  const timer = setInterval(() => {
    for (const plot of document.querySelectorAll(`.st-key-${CSS.escape(data.figure)} .js-plotly-plot`)) {
      if (!plot.on) continue;
      if (!plot.tidalMoved) plot.on("plotly_relayout", () => plot.tidalMoved(plot));
      plot.tidalMoved = moved;
    }
  }, LOOK_MS);
  return () => clearInterval(timer);
}
