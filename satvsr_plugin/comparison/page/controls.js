/* Buttons, choices and keys of the viewer. */

const STEP = 1.5; // of a button or key that zooms
const SHIFT = 40; // CSS pixels that a key moves the picture by

function listen(viewer) {
  const onClick = (id, action) => byId(id).addEventListener('click', action);
  const zoom = (change) => () => { change(viewer.view); viewer.place(); };
  onClick('mode-slider', () => viewer.setMode('slider'));
  onClick('mode-grid', () => viewer.setMode('grid'));
  onClick('earlier', () => viewer.setFrame(viewer.frame - 1));
  onClick('later', () => viewer.setFrame(viewer.frame + 1));
  onClick('zoom-in', zoom((view) => view.zoomAt(STEP)));
  onClick('zoom-out', zoom((view) => view.zoomAt(1 / STEP)));
  onClick('zoom-fit', zoom((view) => view.fit()));
  onClick('zoom-full', zoom((view) => view.fullSize()));
  byId('clip').addEventListener('change', (event) => viewer.setClip(Number(event.target.value)));
  byId('frame').addEventListener('change', (event) => viewer.setFrame(Number(event.target.value)));
  byId('viewer').addEventListener('keydown', (event) => {
    // Ctrl with + is the browser's own; Ctrl and Alt together are how many keyboards write [
    if (event.metaKey || event.ctrlKey !== event.altKey) return;
    const action = keyAction(viewer, event);
    if (!action) return;
    event.preventDefault();
    action();
  });
}

/* What a key does; arrows mean something else in a list. */
function keyAction(viewer, event) {
  const everywhere = {
    '[': () => byId('earlier').click(),
    ']': () => byId('later').click(),
    '+': () => byId('zoom-in').click(),
    '=': () => byId('zoom-in').click(), // + without Shift on many keyboards
    '-': () => byId('zoom-out').click(),
  };
  if (everywhere[event.key]) return everywhere[event.key];
  if (!event.target.closest('.stage')) return undefined;
  const digits = { 0: () => byId('zoom-fit').click(), 1: () => byId('zoom-full').click() };
  const slides = viewer.mode === 'slider' && !event.shiftKey;
  return digits[event.key] || (slides && sliding(viewer)[event.key]) || moving(viewer)[event.key];
}

function sliding(viewer) {
  return {
    ArrowLeft: () => viewer.setSplit(viewer.split - 0.02),
    ArrowRight: () => viewer.setSplit(viewer.split + 0.02),
    Home: () => viewer.setSplit(0),
    End: () => viewer.setSplit(1),
  };
}

/* An arrow key looks into its direction; where nothing moves, the page scrolls as usual. */
function moving(viewer) {
  if (!viewer.view.moves) return {};
  const by = (right, down) => () => { viewer.view.move(right, down); viewer.place(); };
  return { ArrowLeft: by(SHIFT, 0), ArrowRight: by(-SHIFT, 0), ArrowUp: by(0, SHIFT), ArrowDown: by(0, -SHIFT) };
}
