'use strict';

// Adds to each viewer, whose pictures stand side by side, a slider between any
// two of them. All pictures of a viewer share zoom and position.

const MAX_ZOOM = 16;
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function button(text, label, action) {
  const named = { type: 'button', 'aria-label': label, title: label };
  const made = element('button', named, text);
  made.addEventListener('click', action);
  return made;
}

class Viewer {
  constructor(root) {
    this.root = root;
    this.panes = root.querySelector('.panes');
    this.images = new Map(
      [...this.panes.querySelectorAll('figure')].map(
        (figure) => [figure.dataset.name, figure.querySelector('img')]));
    this.zoom = 1; // x, y: upper left corner in shares of the picture
    this.x = 0;
    this.y = 0;
    this.fingers = new Map();
    this.build();
    this.show('slider');
    this.choose();
    this.move(0.5);
    this.update();
  }

  build() {
    const names = [...this.images.keys()];
    const { left, right } = this.root.dataset;
    this.left = this.select('Left', names, names.indexOf(left));
    this.right = this.select('Right', names, names.indexOf(right));
    this.value = element('output', { 'aria-live': 'off' });
    this.labels = [this.left.parentElement, this.right.parentElement];
    this.modes = ['slider', 'side by side'].map(
      (mode) => button(mode, `Show: ${mode}`, () => this.show(mode)));
    this.root.prepend(element('div', { class: 'bar' },
      ...this.modes, ...this.labels,
      element('span', { class: 'zoom' },
        button('\u2212', 'Zoom out', () => this.scale(1 / 1.5)),
        this.value,
        button('+', 'Zoom in', () => this.scale(1.5)),
        button('Reset', 'Show the whole frame', () => this.reset()))));
    this.root.insertBefore(this.buildStage(), this.panes);
    const frames = this.panes.querySelectorAll('.frame');
    for (const frame of frames) this.listen(frame);
  }

  select(label, names, chosen) {
    const options = names.map((name) => new Option(name, name));
    const list = element('select', {}, ...options);
    list.selectedIndex = chosen;
    list.addEventListener('change', () => this.choose());
    element('label', {}, label, list);
    return list;
  }

  buildStage() {
    const first = this.images.values().next().value;
    const sides = ['left', 'right'];
    this.layers = sides.map((side) => element(
      'div', { class: `layer ${side}` },
      element('img', { draggable: 'false' }),
    ));
    this.tags = sides.map((side) => element('span', { class: `tag ${side}` }));
    this.line = element('div', { class: 'line' });
    this.stage = element('div', {
      class: 'stage', tabindex: '0', role: 'group',
      'aria-label': `${this.root.dataset.title}: two versions. `
        + 'Left and right move the divider, plus and minus zoom, '
        + 'shift with arrows moves the picture, 0 shows all.',
    }, ...this.layers, ...this.tags, this.line);
    this.stage.style.aspectRatio = `${first.width} / ${first.height}`;
    this.slider = element('input', {
      class: 'split', type: 'range', min: '0', max: '100', step: '0.5',
      'aria-label': 'Divider',
    });
    this.slider.addEventListener(
      'input', () => this.move(this.slider.value / 100));
    this.stage.addEventListener('keydown', (event) => this.key(event));
    this.dragLine();
    this.listen(this.stage);
    this.both = element('div', { class: 'both' }, this.stage, this.slider);
    // at most twice its size, and never higher than the window
    const ratio = first.width / first.height;
    this.both.style.maxWidth = `min(${2 * first.width}px, ${85 * ratio}vh)`;
    return this.both;
  }

  show(mode) {
    const slides = mode === 'slider';
    this.panes.hidden = slides;
    for (const each of [this.both, ...this.labels]) each.hidden = !slides;
    for (const made of this.modes) {
      made.setAttribute('aria-pressed', String(made.textContent === mode));
    }
    this.update();
  }

  choose() {
    [this.left, this.right].forEach((list, i) => {
      const source = this.images.get(list.value);
      const shown = this.layers[i].firstChild;
      shown.src = source.src;
      shown.alt = source.alt;
      this.tags[i].textContent = list.value;
    });
  }

  move(share) {
    this.share = clamp(share, 0, 1);
    this.stage.style.setProperty('--split', `${100 * this.share}%`);
    this.slider.value = String(100 * this.share);
    const side = Math.round(100 * this.share);
    this.slider.setAttribute('aria-valuetext', `${side} % left`);
  }

  scale(factor, x = 0.5, y = 0.5) {
    const zoom = clamp(this.zoom * factor, 1, MAX_ZOOM);
    this.x += x / this.zoom - x / zoom;
    this.y += y / this.zoom - y / zoom;
    this.zoom = zoom;
    this.update();
  }

  pan(x, y) {
    this.x += x / this.zoom;
    this.y += y / this.zoom;
    this.update();
  }

  reset() {
    Object.assign(this, { zoom: 1, x: 0, y: 0 });
    this.update();
  }

  update() {
    this.x = clamp(this.x, 0, 1 - 1 / this.zoom);
    this.y = clamp(this.y, 0, 1 - 1 / this.zoom);
    const place = `${-100 * this.x}%, ${-100 * this.y}%`;
    const layers = this.layers.map((layer) => layer.firstChild);
    for (const image of [...this.images.values(), ...layers]) {
      image.style.transform = `scale(${this.zoom}) translate(${place})`;
    }
    this.value.textContent = `${Math.round(100 * this.zoom)} %`;
    this.root.classList.toggle('sharp', this.zoom > 2);
    this.stage.classList.toggle('zoomed', this.zoom > 1);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const ways = {
      ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1],
      ArrowDown: [0, 1],
    };
    const [x, y] = ways[event.key] || [0, 0];
    const pans = event.shiftKey || (y && this.zoom > 1);
    if (pans && (x || y)) this.pan(0.1 * x, 0.1 * y);
    else if (x) this.move(this.share + 0.02 * x);
    else if (event.key === 'Home') this.move(0);
    else if (event.key === 'End') this.move(1);
    else if (event.key === '+' || event.key === '=') this.scale(1.5);
    else if (event.key === '-') this.scale(1 / 1.5);
    else if (event.key === '0') this.reset();
    else return;
    event.preventDefault();
  }

  dragLine() {
    const drag = (event) => {
      if (!this.line.hasPointerCapture(event.pointerId)) return;
      const box = this.stage.getBoundingClientRect();
      this.move((event.clientX - box.left) / box.width);
    };
    this.line.addEventListener('pointerdown', (event) => {
      event.stopPropagation();
      this.line.setPointerCapture(event.pointerId);
    });
    this.line.addEventListener('pointermove', drag);
  }

  // One finger or the mouse moves the picture, two fingers or the wheel zoom.
  listen(area) {
    area.addEventListener('pointerdown', (event) => {
      this.fingers.set(event.pointerId, event);
      area.setPointerCapture(event.pointerId);
    });
    const end = (event) => this.fingers.delete(event.pointerId);
    for (const name of ['pointerup', 'pointercancel', 'lostpointercapture']) {
      area.addEventListener(name, end);
    }
    area.addEventListener('pointermove', (event) => this.drag(event, area));
    area.addEventListener('dblclick', (event) => {
      const [x, y] = this.place(event, area);
      if (this.zoom > 1) this.reset();
      else this.scale(4, x, y);
    });
    area.addEventListener('wheel', (event) => {
      // without Ctrl the wheel scrolls the page, until the viewer is clicked
      if (!event.ctrlKey && document.activeElement !== this.stage) return;
      event.preventDefault();
      this.scale(event.deltaY < 0 ? 1.2 : 1 / 1.2, ...this.place(event, area));
    }, { passive: false });
  }

  place(event, area) {
    const box = area.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width;
    return [x, (event.clientY - box.top) / box.height];
  }

  drag(event, area) {
    const before = this.fingers.get(event.pointerId);
    if (!before) return;
    const box = area.getBoundingClientRect();
    const spread = () => {
      const [a, b] = [...this.fingers.values()];
      if (!b) return 0;
      return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
    };
    const was = spread();
    this.fingers.set(event.pointerId, event);
    if (was) {
      this.scale(spread() / was, ...this.place(event, area));
      return;
    }
    const x = (before.clientX - event.clientX) / box.width;
    this.pan(x, (before.clientY - event.clientY) / box.height);
  }
}

for (const root of document.querySelectorAll('.viewer')) {
  if (root.querySelectorAll('figure').length > 1) new Viewer(root);
}
