// How far the grid is scrolled, in pixels of all its rows. A browser lays out only so many pixels; of a taller grid a shorter
// space is laid out, its rows lie ``offset`` higher in it than in the whole, and what is dragged on the bar counts for more.

const TALLEST = 8e6; // pixels: no browser in use lays out fewer
const NEAR = 4; // screens from the first and the last row, where nothing is shortened

class Scroll {
  constructor(scroller, space) {
    Object.assign(this, { scroller, space, tallest: TALLEST, offset: 0, height: 0, last: 0 });
  }

  get isShortened() {
    return this.height > this.tallest;
  }

  get top() {
    this.moved(); // the browser says so a frame later
    return this.scroller.scrollTop + this.offset;
  }

  // How far each can be scrolled at most.
  get ends() {
    const { clientHeight } = this.scroller;
    return { whole: Math.max(0, this.height - clientHeight), laidOut: Math.max(1, Math.min(this.height, this.tallest) - clientHeight) };
  }

  setHeight(height) {
    const { top } = this;
    this.height = height;
    this.space.style.height = `${Math.min(height, this.tallest)}px`;
    if (this.isShortened) this.to(top);
    else this.offset = 0;
  }

  to(top) {
    if (!this.isShortened) {
      this.scroller.scrollTop = top;
      return;
    }
    const { whole, laidOut } = this.ends;
    const near = NEAR * this.scroller.clientHeight;
    const target = Math.max(0, Math.min(top, whole));
    const below = whole - target;
    let at = Math.max(near / 2, Math.min((target * laidOut) / whole, laidOut - near / 2));
    if (target < near) at = target;
    else if (below < near) at = laidOut - below;
    this.scroller.scrollTop = at;
    this.last = this.scroller.scrollTop;
    this.offset = target - this.last;
  }

  // If the browser has scrolled: by the wheel as far as it says, by the bar to its share of the whole.
  moved() {
    const { scrollTop, clientHeight } = this.scroller;
    if (!this.isShortened || scrollTop === this.last) return;
    const { whole, laidOut } = this.ends;
    const isJump = Math.abs(scrollTop - this.last) > clientHeight;
    this.last = scrollTop;
    if (isJump) this.offset = (scrollTop * whole) / laidOut - scrollTop;
    else if (this.isAtEdge) this.to(Math.max(0, Math.min(this.top, whole)));
  }

  // Whether the space laid out ends before the rows do.
  get isAtEdge() {
    const { scrollTop, clientHeight } = this.scroller;
    const { whole, laidOut } = this.ends;
    return (scrollTop < clientHeight && this.offset !== 0) || (scrollTop > laidOut - clientHeight && this.offset !== whole - laidOut);
  }

  // After a pause: the bar stands where it belongs.
  settle() {
    if (this.isShortened) this.to(this.top);
  }
}
