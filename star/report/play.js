'use strict';

// Plays two versions of a clip in step. One video holds all versions in a
// grid; both pictures are cut from the frame that it shows, so they cannot
// show different frames.

class Player {
  constructor(root) {
    this.root = root;
    this.video = root.querySelector('video');
    const numbers = ['columns', 'width', 'height', 'cellWidth', 'cellHeight'];
    for (const key of [...numbers, 'frames', 'fps']) {
      this[key] = Number(root.dataset[key]);
    }
    this.names = JSON.parse(root.dataset.names);
    this.frame = 0;
    this.build();
    this.load();
  }

  build() {
    const { left, right } = this.root.dataset;
    this.panes = [['Left', left], ['Right', right]].map(
      ([label, name]) => this.pane(label, name));
    this.toggle = button('Play', 'Play or pause', () => this.play());
    this.seek = element('input', {
      class: 'split', type: 'range', min: '0', max: String(this.frames - 1),
      step: '1', value: '0', 'aria-label': 'Frame',
    });
    this.seek.addEventListener('input', () => this.go(Number(this.seek.value)));
    this.count = element('output', { 'aria-live': 'off' });
    const lists = this.panes.map((pane) => pane.list.parentElement);
    this.root.prepend(
      element('div', { class: 'bar' }, this.toggle, ...lists, this.count),
      element('div', { class: 'panes' },
        ...this.panes.map((pane) => pane.figure)),
      this.seek);
    this.video.hidden = true;
    this.root.querySelector('.order').hidden = true;
    this.tell();
  }

  pane(label, name) {
    const { width, height } = this;
    const canvas = element('canvas', { width, height, role: 'img' });
    const options = this.names.map((each) => new Option(each, each));
    const list = element('select', {}, ...options);
    list.selectedIndex = Math.max(0, this.names.indexOf(name));
    list.addEventListener('change', () => this.draw());
    element('label', {}, label, list);
    const caption = element('figcaption', {});
    const figure = element('figure', {}, canvas, caption);
    return { canvas, list, caption, figure };
  }

  load() {
    const { video } = this;
    // not every browser seeks in a data URL
    const [, code] = video.src.split(',');
    const bytes = Uint8Array.from(atob(code), (sign) => sign.charCodeAt(0));
    video.src = URL.createObjectURL(new Blob([bytes], { type: 'video/mp4' }));
    video.controls = false;
    video.loop = true;
    video.muted = true;
    for (const name of ['loadeddata', 'seeked']) {
      video.addEventListener(name, () => this.draw());
    }
    for (const name of ['play', 'pause']) {
      video.addEventListener(name, () => {
        this.toggle.textContent = video.paused ? 'Play' : 'Pause';
      });
    }
    this.follow();
  }

  play() {
    if (this.video.paused) this.video.play();
    else this.video.pause();
  }

  go(frame) {
    this.frame = frame;
    this.video.currentTime = (frame + 0.5) / this.fps;
    this.tell();
  }

  follow() {
    const { video } = this;
    const next = video.requestVideoFrameCallback
      ? (action) => video.requestVideoFrameCallback(action)
      : (action) => requestAnimationFrame(action);
    const step = (now, shown) => {
      this.draw(shown?.mediaTime);
      next(step);
    };
    next(step);
  }

  // time: of the frame that is shown, in seconds; undefined if unknown
  draw(time) {
    const { video, width, height, cellWidth, cellHeight } = this;
    if (video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return;
    for (const { canvas, list } of this.panes) {
      const index = list.selectedIndex;
      const x = (index % this.columns) * cellWidth;
      const y = Math.floor(index / this.columns) * cellHeight;
      canvas.getContext('2d').drawImage(
        video, x, y, width, height, 0, 0, width, height);
    }
    if (!video.seeking) {
      const at = Math.floor((time ?? video.currentTime) * this.fps + 0.01);
      this.frame = clamp(at, 0, this.frames - 1);
    }
    this.tell();
  }

  tell() {
    this.seek.value = String(this.frame);
    this.count.textContent = `${this.frame + 1} / ${this.frames}`;
    const title = this.root.dataset.title;
    for (const { canvas, list, caption } of this.panes) {
      canvas.setAttribute('aria-label', `${title}: ${list.value}`);
      caption.textContent = list.value;
    }
  }
}

for (const root of document.querySelectorAll('.player')) new Player(root);
