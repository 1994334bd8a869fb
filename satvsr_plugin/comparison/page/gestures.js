/* What fingers, mouse and wheel do on the stage. */

class Gestures {
  constructor(viewer) {
    this.viewer = viewer;
    this.pointers = new Map();
    const { stage } = viewer;
    stage.addEventListener('pointerdown', (event) => this.begin(event));
    stage.addEventListener('pointermove', (event) => this.go(event));
    for (const end of ['pointerup', 'pointercancel', 'lostpointercapture']) {
      stage.addEventListener(end, (event) => this.pointers.delete(event.pointerId));
    }
    // not passive: the page must not scroll while the picture is zoomed
    stage.addEventListener('wheel', (event) => this.wheel(event), { passive: false });
  }

  begin(event) {
    if (event.button !== 0) return;
    const { viewer } = this;
    const handle = event.target.closest('.handle');
    // where there is nothing to move, a drag anywhere moves the slider
    this.moves = !handle && (viewer.mode === 'grid' || viewer.view.moves);
    this.pane = event.target.closest('.pane');
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    viewer.stage.setPointerCapture(event.pointerId);
    (viewer.stage.querySelector('.handle') || viewer.stage).focus({ preventScroll: true });
    event.preventDefault();
    if (!this.moves && this.pointers.size === 1) this.slide(event);
  }

  go(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY };
    if (this.pointers.size === 2) this.pinch(event.pointerId, before, now);
    else if (this.moves) this.viewer.view.move(now.x - before.x, now.y - before.y);
    this.pointers.set(event.pointerId, now);
    if (this.pointers.size === 1 && !this.moves) this.slide(event);
    else this.viewer.place();
  }

  slide(event) {
    const { left, width } = this.viewer.stage.getBoundingClientRect();
    this.viewer.setSplit((event.clientX - left) / width);
  }

  /* One of two fingers has moved: the picture grows with their distance and goes with their middle. */
  pinch(id, before, now) {
    const [, other] = [...this.pointers].find(([pointer]) => pointer !== id);
    const distance = (one) => Math.hypot(one.x - other.x, one.y - other.y);
    const middle = { clientX: (now.x + other.x) / 2, clientY: (now.y + other.y) / 2 };
    if (distance(before) > 0) {
      this.viewer.view.zoomAt(distance(now) / distance(before), this.inPane(middle, this.pane));
    }
    this.viewer.view.move((now.x - before.x) / 2, (now.y - before.y) / 2);
  }

  wheel(event) {
    if (event.deltaY === 0) return;
    const { view } = this.viewer;
    if (event.deltaY > 0 && view.zoom <= 1 && !event.ctrlKey) return; // nothing to undo: let the page scroll
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 33 : 1;
    const turn = Math.min(Math.max(event.deltaY * lines, -200), 200);
    view.zoomAt(Math.exp(-turn / 400), this.inPane(event, event.target.closest('.pane')));
    this.viewer.place();
  }

  /* A point of the window in the coordinates of the pane that it is in. */
  inPane(point, pane) {
    const { left, top } = (pane || this.viewer.stage).getBoundingClientRect();
    return { x: point.clientX - left, y: point.clientY - top };
  }
}
