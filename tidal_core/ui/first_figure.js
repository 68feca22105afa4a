// Tells once that a figure is drawn; at last after a while, where none comes.

const LOOK_MS = 50;
const AT_LAST_MS = 4000;

export default function ({ data, setTriggerValue }) {
  const since = performance.now();
  const figure = `.st-key-${CSS.escape(data.figure)} .js-plotly-plot .main-svg`;
  const timer = setInterval(() => {
    if (!document.querySelector(figure) && performance.now() - since < AT_LAST_MS) return;
    clearInterval(timer);
    setTriggerValue("drawn", true);
  }, LOOK_MS);
  return () => clearInterval(timer);
}
