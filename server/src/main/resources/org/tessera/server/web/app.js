/** The page: what is open, and what happens on a key or a click. */
import * as api from './api.js';
import { makeComposer } from './composer.js';
import { openDevices } from './devices.js';
import { announce, byId, h, icon } from './dom.js';
import { toPart } from './media.js';
import { applyTheme, openSettings, settings, switchTheme } from './settings.js';
import { releaseUrls } from './slices.js';
import * as store from './store.js';
import { makeThread, showHistory } from './thread.js';

const TITLE_CHARS = 60;
const SAVE_EVERY_MILLIS = 2000;
/** Pieces that come at once say nothing of the speed. */
const MEASURED_MILLIS = 100;
const STARTERS = ['What is in this picture?', 'What does the text say?', 'What is the difference between the two pictures?'];

let conversation = fresh();
/** The answer that is coming in: {controller, conversation}. */
let running = null;

const thread = makeThread({ edit, again });
const composer = makeComposer({ send, stop, editLast, running: () => running !== null });

function fresh() {
  return { id: store.newId(), title: 'New conversation', updated: 0, messages: [] };
}

function send({ text, media }, place) {
  if (place !== null) conversation.messages.length = place;
  conversation.messages.push({ id: store.newId(), role: 'user', text, media });
  if (conversation.messages.length === 1) {
    conversation.title = (text || media[0].name).replaceAll(/\s+/g, ' ').slice(0, TITLE_CHARS);
  }
  return answer();
}

/** Asks for an answer to what the conversation holds. */
async function answer() {
  const own = conversation;
  const message = { id: store.newId(), role: 'assistant', text: '', stats: {} };
  const controller = new AbortController();
  running = { controller, conversation: own };
  own.messages.push(message);
  noteSlicing(own.messages);
  composer.setRunning(true);
  thread.show(own.messages);
  thread.update(message, true);
  announce('The model is answering');
  await keep(own);
  try {
    await receive(own, message, controller.signal);
  } catch (error) {
    if (controller.signal.aborted) message.stopped = true;
    else message.error = error instanceof TypeError ? 'The server cannot be reached.' : error.message;
  }
  if (running?.controller === controller) {
    running = null;
    composer.setRunning(false);
  }
  await keep(own);
  if (own === conversation) thread.update(message, false);
  announce(message.error ?? (message.stopped ? 'Stopped' : `Answer: ${message.text}`));
}

/** One request cuts all its pictures alike, and coarser where a video is among them. */
function noteSlicing(messages) {
  const video = messages.some(({ media }) => media?.some(({ kind }) => kind !== 'picture'));
  for (const message of messages) {
    if (message.media?.length) message.slicing = { maxSliceNums: settings.maxSliceNums, video };
  }
}

async function receive(own, message, signal) {
  const requestMessages = await toRequest(own.messages.slice(0, -1));
  const start = performance.now();
  let first = null;
  let pieces = 0;
  let drawing = false;
  let saved = start;
  for await (const chunk of api.chat(requestMessages, signal)) {
    const now = performance.now();
    const choice = chunk.choices[0];
    if (choice?.delta.content) {
      message.text += choice.delta.content;
      first ??= now;
      pieces++;
      measure(message.stats, start, first, now, pieces);
    }
    if (choice?.finish_reason) message.cut = choice.finish_reason === 'length';
    if (chunk.usage) note(message.stats, chunk);
    if (now - saved > SAVE_EVERY_MILLIS) {
      saved = now;
      keep(own);
    }
    if (!drawing) {
      drawing = true;
      requestAnimationFrame(() => {
        drawing = false;
        if (own === conversation && running) thread.update(message, true);
      });
    }
  }
}

/** As it is seen here: a piece of a stream is a token, or nearly. */
function measure(stats, start, first, now, pieces) {
  stats.firstMillis = first - start;
  stats.tokens = pieces;
  if (now - first > MEASURED_MILLIS) stats.tokensPerSecond = ((pieces - 1) * 1000) / (now - first);
}

/** As the server counted and measured. */
function note(stats, { usage, timings }) {
  stats.tokens = usage.completion_tokens;
  stats.exact = true;
  stats.tokensPerSecond = timings?.tokens_per_second ?? stats.tokensPerSecond;
  stats.visionMillis = timings?.vision_ms;
  stats.prefillMillis = timings?.prefill_ms;
  stats.promptTokens = usage.prompt_tokens;
  stats.imageTokens = usage.prompt_tokens_details?.image_tokens;
  stats.cachedTokens = usage.prompt_tokens_details?.cached_tokens;
}

/** Messages in OpenAI's form; answers that never came are left out. */
async function toRequest(messages) {
  const request = settings.systemPrompt ? [{ role: 'system', content: settings.systemPrompt }] : [];
  for (const { role, text, media } of messages) {
    if (role === 'user' && media?.length) {
      const parts = await Promise.all(media.map(toPart));
      if (text) parts.push({ type: 'text', text });
      request.push({ role, content: parts });
    } else if (text) {
      request.push({ role, content: text });
    }
  }
  return request;
}

function stop() {
  running?.controller.abort();
}

function again(place) {
  if (running) return;
  conversation.messages.length = place;
  answer();
}

function edit(place) {
  if (!running) composer.edit(conversation.messages[place], place);
}

function editLast() {
  const place = conversation.messages.findLastIndex((message) => message.role === 'user');
  if (place >= 0) edit(place);
}

/** Writes a conversation down, unless it was deleted meanwhile. */
async function keep(own) {
  if (own.deleted) return;
  own.updated = Date.now();
  try {
    await store.save(own);
  } catch {
    announce('This browser keeps no history');
  }
  if (own === conversation) history.replaceState(null, '', `#${own.id}`);
  await showList();
}

async function showList() {
  byId('title').textContent = conversation.title;
  document.title = conversation.messages.length ? `${conversation.title} · Tessera` : 'Tessera';
  const conversations = await store.list().catch(() => []);
  showHistory(conversations, conversation.id, { open, remove });
}

function show(next) {
  stop();
  releaseUrls();
  conversation = next;
  composer.clear();
  thread.show(conversation.messages);
  history.replaceState(null, '', next.messages.length ? `#${next.id}` : location.pathname);
  setSidebar(false);
  showList();
}

function startNew() {
  show(fresh());
  composer.focus();
}

async function open(id) {
  if (id === conversation.id) {
    setSidebar(false);
    return;
  }
  show((await store.load(id)) ?? fresh());
}

async function remove(id) {
  if (id === conversation.id) {
    conversation.deleted = true;
    show(fresh());
  }
  await store.remove(id);
  showList();
}

async function forget() {
  conversation.deleted = true;
  show(fresh());
  await store.removeAll();
  showList();
}

function setSidebar(shown) {
  document.body.classList.toggle('with-sidebar', shown);
  byId('scrim').hidden = !shown;
}

/** Settings and an edited picture show at once. */
function redraw() {
  if (!running) thread.show(conversation.messages);
  showModel();
}

async function showModel() {
  try {
    byId('model').textContent = await api.model();
  } catch (error) {
    byId('model').textContent = error.status === 401 ? 'needs an API key' : 'no server';
  }
}

function dress() {
  const icons = { attach: 'attach', camera: 'camera', send: 'send', stop: 'stop', theme: 'theme', 'open-sidebar': 'menu' };
  for (const [id, name] of Object.entries(icons)) byId(id).append(icon(name));
  byId('new-chat').prepend(icon('plus'));
  byId('open-devices').prepend(icon('devices'));
  byId('open-settings').prepend(icon('settings'));
  byId('starters').append(...STARTERS.map((text) => h('button', { type: 'button', click: () => composer.suggest(text) }, text)));
}

function listen() {
  byId('new-chat').addEventListener('click', startNew);
  byId('open-devices').addEventListener('click', openDevices);
  byId('open-settings').addEventListener('click', () => openSettings({ changed: redraw, forget }));
  byId('theme').addEventListener('click', switchTheme);
  byId('open-sidebar').addEventListener('click', () => setSidebar(true));
  byId('scrim').addEventListener('click', () => setSidebar(false));
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', applyTheme);
  for (const dialog of document.querySelectorAll('dialog')) {
    dialog.addEventListener('click', (event) => event.target === dialog && dialog.close());
  }
  document.addEventListener('keydown', (event) => {
    if (event.altKey && event.code === 'KeyN') {
      event.preventDefault();
      startNew();
    } else if (event.key === 'Escape' && !document.querySelector('dialog[open]')) {
      stop();
      setSidebar(false);
    }
  });
}

applyTheme();
dress();
listen();
showModel();
const asked = location.hash.slice(1);
const found = asked ? await store.load(asked).catch(() => undefined) : undefined;
show(found ?? conversation);
if (!matchMedia('(pointer: coarse)').matches) composer.focus();
