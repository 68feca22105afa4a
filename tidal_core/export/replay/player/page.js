// The exported page: its numbers and pictures stand in it, the moment in its address behind the "#".

const written = (id) => document.getElementById(id).textContent;

function decoded(text) {
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let place = 0; place < letters.length; place++) bytes[place] = letters.charCodeAt(place);
  return bytes.buffer;
}

const asked = () => Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
const hashOf = (moment) => `#${new URLSearchParams(moment)}`;
const pictures = JSON.parse(written("pictures"));
const player = new Player(document.querySelector(".replay"), new Story(JSON.parse(written("head")), decoded(written("arrays"))), {
  start: asked(),
  picture: async (image) => pictures[image] ?? null,
  link: (moment) => new URL(hashOf(moment), location.href).href,
  onRest: (moment) => history.replaceState(null, "", hashOf(moment)),
});
document.querySelector(".replay").tidalPlayer = player;
window.addEventListener("hashchange", () => player.go(player.story.find(asked().round, asked().epoch), { quietly: true }));
