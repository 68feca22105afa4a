// Whose life somebody went to see: whoever comes back to the same images stands at that one again.

const PLACE = "tidal:gallery-place:"; // and the project; for this tab

class Place {
  constructor(slug) {
    this.key = PLACE + slug;
  }

  remember(address, image) {
    try {
      sessionStorage.setItem(this.key, JSON.stringify({ address, image }));
    } catch {
      // A browser that stores nothing comes back to the first image.
    }
  }

  // The image, once, where the same images are asked for; else 0.
  recall(address) {
    try {
      const known = JSON.parse(sessionStorage.getItem(this.key) ?? "null");
      sessionStorage.removeItem(this.key);
      return known?.address === address ? known.image : 0;
    } catch {
      return 0;
    }
  }
}
