/* Which part of the picture is shown, and how large: one view for all panes, so that they always show the same place. */

const LARGEST = 32; // CSS pixels a pixel of the picture

class View {
  constructor() {
    this.fit(); // x and y: the place in the middle of the panes, as shares of the picture's width and height
  }

  fit() {
    this.x = 0.5;
    this.y = 0.5;
    this.zoom = 1; // 1: the whole picture just fits
  }

  /* The sizes that everything is counted in: those of the picture and of a pane, in pixels. */
  resize(picture, pane) {
    this.picture = picture;
    this.pane = pane;
    this.setZoom(this.zoom);
  }

  get fitScale() {
    return Math.min(this.pane.width / this.picture.width, this.pane.height / this.picture.height);
  }

  /* CSS pixels a pixel of the picture. */
  get scale() {
    return this.fitScale * this.zoom;
  }

  setZoom(zoom) {
    const least = Math.min(1, 1 / this.fitScale);
    this.zoom = Math.min(Math.max(zoom, least), Math.max(LARGEST / this.fitScale, 1));
    this.keepInside();
  }

  /* Zooms so that what is at a point of the pane stays there; by default at its middle. */
  zoomAt(factor, point = { x: this.pane.width / 2, y: this.pane.height / 2 }) {
    const before = this.scale;
    this.setZoom(this.zoom * factor);
    const moved = 1 / before - 1 / this.scale;
    this.x += ((point.x - this.pane.width / 2) * moved) / this.picture.width;
    this.y += ((point.y - this.pane.height / 2) * moved) / this.picture.height;
    this.keepInside();
  }

  fullSize() {
    this.setZoom(1 / this.fitScale);
  }

  /* Moves the picture by CSS pixels. */
  move(right, down) {
    this.x -= right / (this.scale * this.picture.width);
    this.y -= down / (this.scale * this.picture.height);
    this.keepInside();
  }

  /* The picture never leaves a pane emptier than it must. */
  keepInside() {
    const limit = (place, pane, size) => {
      const margin = Math.min(0.5, pane / (2 * this.scale * size));
      return Math.min(Math.max(place, margin), 1 - margin);
    };
    this.x = limit(this.x, this.pane.width, this.picture.width);
    this.y = limit(this.y, this.pane.height, this.picture.height);
  }

  get moves() {
    return this.scale * this.picture.width > this.pane.width + 1 || this.scale * this.picture.height > this.pane.height + 1;
  }

  /* Where the picture's rectangle lies in a pane. */
  get rectangle() {
    const width = this.picture.width * this.scale;
    const height = this.picture.height * this.scale;
    return { left: this.pane.width / 2 - this.x * width, top: this.pane.height / 2 - this.y * height, width, height };
  }
}
