// Tells once where this browser cannot draw by WebGL; where it can, nothing is sent.

function hasWebGL() {
  const context = document.createElement("canvas").getContext("webgl");
  context?.getExtension("WEBGL_lose_context")?.loseContext(); // a browser keeps only some of them
  return !!context;
}

export default function ({ setStateValue }) {
  if (!hasWebGL()) setStateValue("lacks", true);
}
