// Tells once where Plotly cannot draw by WebGL in this browser; where it can, nothing is sent.

function hasWebGL() {
  try {
    new Function("return 1"); // Plotly makes such functions; a proxy's policy may forbid them
  } catch {
    return false;
  }
  const context = document.createElement("canvas").getContext("webgl");
  context?.getExtension("WEBGL_lose_context")?.loseContext(); // a browser keeps only some of them
  return !!context;
}

export default function ({ setStateValue }) {
  if (!hasWebGL()) setStateValue("lacks", true);
}
