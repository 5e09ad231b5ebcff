'use strict';
// One participant's study: shows a screen, plays its versions in step, and
// sends each choice at once.

const $ = (id) => document.getElementById(id);
const { code, token } = document.body.dataset;
const videos = [...document.querySelectorAll('video')];
const tiles = [...document.querySelectorAll('.tile')];
const questions = [...document.querySelectorAll('.question')];
const names = questions.map((box) => box.dataset.question);

let screens = [];
let index = 0; // of the screen; screens.length is the end
let active = 0; // question that the digit keys answer
let finished = false;

/* ---- the server ---- */

async function send(path, body) {
  const answer = await fetch(`/study/${code}/${path}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Token': token },
    body: JSON.stringify(body),
  });
  if (answer.ok) return;
  const told = await answer.json().catch(() => ({}));
  throw new Error(told.error || `error ${answer.status}`);
}

function say(text, alert = false) {
  $('status').textContent = text;
  $('status').classList.toggle('alert', alert);
}

/* ---- loading: whole files, so that playing never waits for the network.
   Streams of many videos would use up the browser's connections ---- */

const loaded = new Map(); // screen -> promise of addresses

function load(i) {
  if (!loaded.has(i)) {
    const urls = screens[i].videos.map(async (id) => {
      const answer = await fetch(`/video/${id}`);
      if (!answer.ok) throw new Error(`error ${answer.status}`);
      return URL.createObjectURL(await answer.blob());
    });
    const all = Promise.all(urls);
    all.catch(() => loaded.delete(i)); // the next call tries again
    loaded.set(i, all);
  }
  return loaded.get(i);
}

function forget() {
  for (const [i, urls] of loaded) {
    if (Math.abs(i - index) <= 1) continue;
    loaded.delete(i);
    urls.then((list) => list.forEach((url) => URL.revokeObjectURL(url)));
  }
}

/* ---- playing ---- */

let playing = false;
let frame = 0;
let turn = 0; // code that waits gives up when another turn has begun

const clip = () => screens[index];
const timeOf = (i) => (i + 0.5) / clip().fps; // the middle of a frame

function once(video, ready, event) {
  if (ready()) return Promise.resolve();
  return new Promise((done) => {
    const check = () => {
      if (!ready()) return;
      video.removeEventListener(event, check);
      done();
    };
    video.addEventListener(event, check);
  });
}

function settled() {
  return Promise.all(videos.map(async (video) => {
    await once(video, () => video.readyState >= 2, 'canplay');
    await once(video, () => !video.seeking, 'seeked');
  }));
}

function tell(i) {
  frame = i;
  $('seek').value = i;
  $('frame').textContent = `${i + 1} / ${clip().frames}`;
}

function show(i) {
  tell(Math.max(0, Math.min(i, clip().frames - 1)));
  for (const video of videos) {
    video.playbackRate = 1;
    video.currentTime = timeOf(frame);
  }
}

function stop() {
  turn += 1;
  playing = false;
  $('play').textContent = 'Play';
  videos.forEach((video) => video.pause());
}

function pause() {
  stop();
  show(frame); // all versions at the same frame
}

async function play() {
  turn += 1;
  const mine = turn;
  playing = true;
  $('play').textContent = 'Pause';
  show(frame >= clip().frames - 1 ? 0 : frame);
  await settled();
  if (mine !== turn) return;
  try {
    await Promise.all(videos.map((video) => video.play()));
  } catch (error) {
    if (mine === turn) { pause(); say(`Cannot play: ${error.message}`, true); }
    return;
  }
  if (mine === turn) follow(mine);
}

// The first video is the clock. Small gaps are closed by a change of speed
// that nobody sees, larger ones by a jump.
function follow(mine) {
  if (mine !== turn) return;
  if (videos.every((video) => video.ended)) {
    tell(clip().frames - 1);
    if ($('loop').checked) play(); else pause();
    return;
  }
  const [first, ...others] = videos;
  const unit = 1 / clip().fps;
  for (const video of others) {
    if (first.ended || video.ended || video.seeking) continue;
    const gap = video.currentTime - first.currentTime;
    if (Math.abs(gap) > 2 * unit) video.currentTime = first.currentTime;
    const rate = 1 - Math.max(-0.1, Math.min(gap / unit / 5, 0.1));
    video.playbackRate = Math.abs(gap) > 0.1 * unit ? rate : 1;
  }
  const at = Math.floor(first.currentTime * clip().fps);
  tell(Math.min(at, clip().frames - 1));
  requestAnimationFrame(() => follow(mine));
}

function step(by) {
  stop();
  show(frame + by);
}

/* ---- zoom, shared ---- */

let scale = 1;
let shift = [0, 0]; // of the centre, in shares of the picture

function zoom(factor) {
  scale = Math.max(1, Math.min(scale * factor, 8));
  move(0, 0);
}

function move(x, y) {
  const most = (1 - 1 / scale) / 2;
  shift = [shift[0] + x, shift[1] + y].map(
    (value) => Math.max(-most, Math.min(value, most)),
  );
  const [left, top] = shift.map((value) => `${(100 * value).toFixed(3)}%`);
  for (const video of videos) {
    video.style.transform = `scale(${scale}) translate(${left}, ${top})`;
  }
  $('zoom').textContent = `${scale}×`;
  $('grid').classList.toggle('zoomed', scale > 1);
}

for (const view of document.querySelectorAll('.view')) {
  view.addEventListener('pointerdown', (event) => {
    if (scale > 1) view.setPointerCapture(event.pointerId);
  });
  view.addEventListener('pointermove', (event) => {
    if (!view.hasPointerCapture(event.pointerId)) return;
    const box = view.getBoundingClientRect();
    const [x, y] = [event.movementX / box.width, event.movementY / box.height];
    move(x / scale, y / scale);
  });
}

/* ---- answers ---- */

const answered = (screen) => names.every((name) => name in screen.votes);
let waiting = Promise.resolve(); // sends one vote after the other
let unsaved = 0;

function choose(question, position) {
  const i = index;
  const name = names[question];
  activate(question);
  questions[question].querySelectorAll('input')[position].checked = true;
  mark(position);
  say('Saving …');
  unsaved += 1;
  waiting = waiting.then(async () => {
    try {
      await send('vote', { screen: i, question: name, position });
      screens[i].votes[name] = position;
      say('Saved');
    } catch (error) {
      say(`Not saved (${error.message}). Please choose again.`, true);
    }
    unsaved -= 1;
    refresh();
  });
  refresh();
}

// Shows the saved choices, unless others are being saved.
function refresh() {
  const done = screens.map((s) => names.filter((n) => n in s.votes).length);
  $('progress').value = done.reduce((sum, count) => sum + count, 0);
  if (index >= screens.length) return;
  $('next').disabled = unsaved > 0 || !answered(clip());
  if (unsaved) return;
  questions.forEach((box, i) => {
    box.querySelectorAll('input').forEach((input, position) => {
      input.checked = clip().votes[names[i]] === position;
    });
  });
  mark(clip().votes[names[active]]);
}

function mark(position) {
  tiles.forEach((tile, i) => tile.classList.toggle('chosen', i === position));
}

function activate(question) {
  active = question;
  questions.forEach((box, i) => box.classList.toggle('active', i === active));
  if (index < screens.length) mark(clip().votes[names[active]]);
}

async function confirm() {
  await waiting;
  if (index >= screens.length) return;
  const open = names.findIndex((name) => !(name in clip().votes));
  if (open < 0) go(index + 1);
  else if (open !== active) activate(open);
  else say('Choose a version first.', true);
}

/* ---- screens ---- */

async function go(to) {
  if (!screens.length || to < 0 || to > screens.length) return;
  if (to > index && index < screens.length && !answered(clip())) return;
  stop();
  index = to;
  const end = index === screens.length;
  $('screen').hidden = end;
  $('end').hidden = !end || finished;
  $('thanks').hidden = !finished;
  $('nav').hidden = finished;
  $('previous').disabled = index === 0;
  $('next').hidden = end;
  if (end) {
    $('heading').textContent = finished ? 'Finished' : 'The end';
    say('');
    refresh();
    return;
  }
  $('heading').textContent = `Clip ${index + 1} of ${screens.length}`;
  const last = index + 1 === screens.length;
  $('next').textContent = last ? 'To the end' : 'Next clip';
  await present();
}

async function present() {
  turn += 1;
  const mine = turn;
  fit();
  scale = 1;
  shift = [0, 0];
  move(0, 0);
  $('seek').max = clip().frames - 1;
  const open = names.findIndex((name) => !(name in clip().votes));
  activate(Math.max(open, 0));
  refresh();
  $('screen').classList.remove('ready');
  say('Loading …');
  try {
    const urls = await load(index);
    if (mine !== turn) return;
    videos.forEach((video, i) => { video.src = urls[i]; });
    show(0);
    await settled();
  } catch (error) {
    say(`The clip cannot be loaded (${error.message}). Reload it.`, true);
    return;
  }
  if (mine !== turn) return;
  $('screen').classList.add('ready');
  say('');
  forget();
  if (index + 1 < screens.length) load(index + 1).catch(() => {});
}

// Makes the grid as square as possible; its rows share the height.
function fit() {
  const columns = Math.ceil(Math.sqrt(videos.length));
  const rows = Math.ceil(videos.length / columns);
  const style = $('grid').style;
  style.setProperty('--columns', columns);
  style.setProperty('--ratio', clip().width / clip().height);
  style.setProperty('--height', `${Math.round(64 / rows)}vh`);
}

async function finish() {
  try {
    await waiting;
    await send('finish', {});
    finished = true;
    go(screens.length);
  } catch (error) {
    say(`Not finished (${error.message}).`, true);
  }
}

/* ---- input ---- */

const toggle = () => (playing ? pause() : play());
const keys = {
  ' ': toggle,
  ArrowLeft: () => step(-1),
  ArrowRight: () => step(1),
  ArrowUp: () => activate((active + names.length - 1) % names.length),
  ArrowDown: () => activate((active + 1) % names.length),
  Enter: confirm,
  PageUp: () => go(index - 1),
  PageDown: () => go(index + 1),
  '+': () => zoom(2),
  '=': () => zoom(2),
  '-': () => zoom(0.5),
};

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || finished) return;
  const pressed = ['Enter', ' '].includes(event.key);
  if (pressed && event.target.closest('button')) return; // it is clicked
  const shown = index < screens.length;
  const digit = '123456789'.indexOf(event.key);
  if (shown && event.key.length === 1 && digit >= 0 && digit < videos.length) {
    choose(active, digit);
  } else if (event.key in keys && (shown || event.key === 'PageUp')) {
    keys[event.key]();
  } else {
    return;
  }
  event.preventDefault();
});

questions.forEach((box, question) => {
  box.addEventListener('change', (event) => {
    choose(question, Number(event.target.value));
  });
  box.addEventListener('pointerdown', () => activate(question));
});
$('play').addEventListener('click', toggle);
$('back').addEventListener('click', () => step(-1));
$('ahead').addEventListener('click', () => step(1));
$('seek').addEventListener('input', () => step($('seek').value - frame));
$('in').addEventListener('click', () => zoom(2));
$('out').addEventListener('click', () => zoom(0.5));
$('previous').addEventListener('click', () => go(index - 1));
$('next').addEventListener('click', confirm);
$('finish').addEventListener('click', finish);

async function begin() {
  try {
    const answer = await fetch(`/study/${code}/screens`);
    if (!answer.ok) throw new Error(`error ${answer.status}`);
    ({ screens, finished } = await answer.json());
  } catch (error) {
    say(`The study cannot be loaded (${error.message}).`, true);
    return;
  }
  const open = screens.findIndex((screen) => !answered(screen));
  $('progress').max = screens.length * names.length;
  refresh();
  index = open < 0 ? screens.length : open;
  go(index);
}
begin();
