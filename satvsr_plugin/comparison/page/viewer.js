/* The pictures: a slider between two sources, or up to four side by side. */

const NONE = -1; // an empty pane

class Viewer {
  constructor(data) {
    this.data = data;
    this.view = new View();
    this.mode = 'slider';
    this.clip = 0;
    this.frame = Math.floor(data.clips[0].frames.length / 2);
    this.split = 0.5;
    this.panes = { slider: data.panes.slice(0, 2), grid: [...data.panes] };
    while (this.panes.slider.length < 2) this.panes.slider.push(this.panes.slider[0]);
    while (this.panes.grid.length < 4) this.panes.grid.push(NONE);
    this.stage = byId('stage');
    this.fillChoices();
    this.build();
    new Gestures(this);
    listen(this);
    new ResizeObserver(() => this.place()).observe(this.stage.parentElement);
    window.addEventListener('resize', () => this.place());
  }

  get clipData() { return this.data.clips[this.clip]; }

  get frameData() { return this.clipData.frames[this.frame]; }

  /* The sources that have a pane. */
  get shown() { return this.panes[this.mode].filter((source) => source !== NONE); }

  fillChoices() {
    fill(byId('clip'), this.data.clips.map((clip) => clip.name), this.clip);
    fill(byId('frame'), this.clipData.frames.map((frame) => frame.name), this.frame);
    const names = this.data.sources.map((source) => source.name);
    const labels = this.mode === 'slider' ? ['Left', 'Right'] : ['1', '2', '3', '4'];
    byId('choices').replaceChildren(...labels.map((text, number) => {
      const label = make('label', text);
      const select = label.appendChild(make('select'));
      select.id = `source-${number}`;
      fill(select, names, this.panes[this.mode][number]);
      if (number > 1) select.prepend(new Option('–', NONE, false, this.panes[this.mode][number] === NONE));
      select.addEventListener('change', () => this.choose(number, Number(select.value)));
      return label;
    }));
  }

  choose(number, source) {
    this.panes[this.mode][number] = source;
    this.build();
  }

  setMode(mode) {
    this.mode = mode;
    for (const name of ['slider', 'grid']) byId(`mode-${name}`).setAttribute('aria-pressed', String(name === mode));
    this.fillChoices();
    this.build();
  }

  setClip(clip) {
    this.clip = clip;
    this.frame = Math.min(this.frame, this.clipData.frames.length - 1);
    this.fillChoices();
    this.build();
  }

  setFrame(frame) {
    this.frame = Math.min(Math.max(frame, 0), this.clipData.frames.length - 1);
    byId('frame').value = this.frame;
    this.build();
  }

  setSplit(split) {
    this.split = Math.min(Math.max(split, 0), 1);
    this.place();
  }

  /* Makes the panes anew, in the focus's keeping. */
  build() {
    const onHandle = document.activeElement && document.activeElement.classList.contains('handle');
    this.stage.className = `stage ${this.mode}`;
    const panes = this.shown.map((source, number) => this.buildPane(source, number));
    // the left picture lies over the right one and is cut off at the handle
    this.stage.replaceChildren(...(this.mode === 'slider' ? [panes[1], panes[0], this.buildHandle()] : panes));
    this.place();
    if (onHandle && this.mode === 'slider') this.stage.querySelector('.handle').focus();
  }

  buildPane(source, number) {
    const { name, kind, colour } = this.data.sources[source];
    const pane = make('div');
    pane.className = 'pane';
    pane.dataset.number = number;
    const picture = pane.appendChild(make('img'));
    picture.src = this.frameData.pictures[source];
    picture.alt = `${name}, clip ${this.clipData.name}, frame ${this.frameData.name}`;
    picture.dataset.kind = kind;
    const tag = pane.appendChild(make('div', name));
    tag.className = this.mode === 'slider' && number === 1 ? 'tag right' : 'tag';
    if (colour) tag.style.borderColor = colour;
    if (this.frameData.scores[source]) tag.append(make('small', this.frameData.scores[source]));
    return pane;
  }

  buildHandle() {
    const handle = make('div');
    handle.className = 'handle';
    handle.tabIndex = 0;
    handle.setAttribute('role', 'slider');
    handle.setAttribute('aria-label', 'Boundary between the left and the right picture');
    handle.setAttribute('aria-valuemin', 0);
    handle.setAttribute('aria-valuemax', 100);
    return handle;
  }

  /* Puts everything where it belongs: after a change of size, zoom, place or slider. */
  place() {
    const pane = this.layOut();
    this.view.resize(this.clipData, pane);
    const { left, top, width, height } = this.view.rectangle;
    this.stage.querySelectorAll('.pane img').forEach((picture) => {
      Object.assign(picture.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
      picture.classList.toggle('squares', this.view.scale > 1 || picture.dataset.kind === 'lr');
    });
    this.stage.classList.toggle('moves', this.view.moves);
    byId('zoom').value = `${Math.round(this.view.scale * 100)} %`;
    if (this.mode === 'slider') this.placeHandle();
  }

  /* Gives the stage its size; returns that of a pane, which has the shape of the picture. */
  layOut() {
    const count = this.shown.length;
    const columns = this.mode === 'grid' && count > 1 ? 2 : 1;
    const rows = this.mode === 'grid' ? Math.ceil(count / columns) : 1;
    const gap = 4; // as in the style sheet
    const high = document.documentElement.clientHeight; // unlike innerHeight, does not change while a phone scrolls
    const shape = this.clipData.width / this.clipData.height;
    const room = (this.stage.parentElement.clientWidth - gap * (columns - 1)) / columns;
    const width = Math.floor(Math.min(room, (Math.max(280, high * 0.85) / rows) * shape));
    const height = Math.round(width / shape);
    Object.assign(this.stage.style, {
      gridTemplateColumns: `repeat(${columns}, ${width}px)`,
      gridAutoRows: `${height}px`,
      width: `${width * columns + gap * (columns - 1)}px`,
      height: `${height * rows + gap * (rows - 1)}px`,
    });
    return { width, height };
  }

  placeHandle() {
    const percent = this.split * 100;
    this.stage.querySelector('.pane[data-number="0"]').style.clipPath = `inset(0 ${100 - percent}% 0 0)`;
    const handle = this.stage.querySelector('.handle');
    handle.style.left = `${percent}%`;
    handle.setAttribute('aria-valuenow', Math.round(percent));
  }
}

function byId(id) {
  return document.getElementById(id);
}

/* An element; text is never read as HTML. */
function make(tag, text = '') {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}

function fill(select, names, chosen) {
  select.replaceChildren(...names.map((name, number) => new Option(name, number, false, number === chosen)));
}

const data = JSON.parse(byId('data').textContent);
if (data.clips) new Viewer(data);
