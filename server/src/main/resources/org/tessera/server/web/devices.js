/** The view of the devices, live while it is open. */
import * as api from './api.js';
import { byId, bytes, h, svg } from './dom.js';
import { closeButton } from './settings.js';

const EVERY_MILLIS = 1000;
const KEPT = 60;

/** What the empty prefix and the first parts of module names stand for. */
const MODULES = {
  '': 'the whole model: vision tower, resampler and language model',
  vpm: 'vision tower',
  resampler: 'resampler',
  llm: 'language model',
};

export function openDevices() {
  const dialog = byId('devices');
  const body = h('div.devices', {}, h('p.muted', {}, 'Asking the server …'));
  const past = { load: [], cache: [] };
  dialog.replaceChildren(
    h('header', {}, h('h2', { id: 'devices-title' }, 'Devices'), closeButton(() => dialog.close())),
    body,
  );
  dialog.showModal();
  const update = async () => {
    if (!dialog.open || !body.isConnected) return;
    try {
      const [state, text] = await Promise.all([api.devices(), api.metrics()]);
      note(past, state, readMetrics(text));
      body.replaceChildren(...view(state, past));
    } catch (error) {
      body.replaceChildren(h('p.problem', {}, error.message));
    }
    setTimeout(update, EVERY_MILLIS);
  };
  update();
}

/** The unlabelled samples of Prometheus' text format by name. */
function readMetrics(text) {
  const samples = new Map();
  for (const line of text.split('\n')) {
    const match = line.match(/^([a-z_:]+) ([0-9.eE+-]+)$/);
    if (match) samples.set(match[1], Number(match[2]));
  }
  return samples;
}

function note(past, state, metrics) {
  past.metrics = metrics;
  push(past.load, state.host.load ?? 0);
  push(past.cache, state.engine.used_kv_blocks / state.engine.kv_blocks);
}

function push(values, value) {
  values.push(value);
  if (values.length > KEPT) values.shift();
}

function view({ model, devices, engine, host }, past) {
  const blocks = engine.used_kv_blocks / engine.kv_blocks;
  const hits = engine.queried_tokens ? engine.cached_tokens / engine.queried_tokens : 0;
  const generated = past.metrics.get('tessera_generation_tokens_total') ?? 0;
  return [
    ...devices.map((device) => card(device, model, host, past)),
    h(
      'section.card',
      {},
      h('h3', {}, 'Answers under way'),
      h('div.figures', {}, figure(engine.running, 'running'), figure(engine.waiting, 'waiting'), figure(generated.toLocaleString('en'), 'tokens written'), figure(`${Math.round(100 * hits)} %`, 'of prompts reused')),
      bar('Key/value cache', blocks, `${engine.used_kv_blocks} of ${engine.kv_blocks} blocks, room for ${model.context_tokens.toLocaleString('en')} tokens`),
      spark(past.cache, 'Key/value cache in use over the last minute'),
    ),
    h(
      'section.card',
      {},
      h('h3', {}, 'Host'),
      bar('Java heap', host.heap_bytes / host.max_heap_bytes, `${bytes(host.heap_bytes)} of ${bytes(host.max_heap_bytes)}`),
      host.process_load !== null && bar('This process', host.process_load, `${Math.round(100 * host.process_load)} % of ${host.processors} cores`),
    ),
  ];
}

function card(device, model, host, past) {
  const used = device.total_bytes - device.free_bytes;
  const modules = device.modules.length ? device.modules : [''];
  const loads = device.id.startsWith('cpu') && host.load !== null;
  return h(
    'section.card',
    {},
    h('h3', {}, device.name, h('code', {}, device.id)),
    bar('Memory', used / device.total_bytes, `${bytes(used)} of ${bytes(device.total_bytes)} taken on the machine`),
    loads && bar('Load', host.load, `${Math.round(100 * host.load)} % of ${host.processors} cores`),
    loads && spark(past.load, 'Load over the last minute'),
    h('p.muted', {}, `${model.architecture}: ${(model.parameters / 1e6).toLocaleString('en', { maximumFractionDigits: 1 })} million weights, ${bytes(model.weight_bytes)}`),
    h('ul.modules', {}, ...modules.map((name) => h('li', {}, MODULES[name] ?? name))),
  );
}

const figure = (value, label) => h('div.figure', {}, h('b', {}, String(value)), h('span', {}, label));

function bar(label, share, text) {
  const meter = h('progress', { max: 1, 'aria-label': label });
  meter.value = Math.min(1, Math.max(0, share));
  return h('div.bar', {}, h('div', {}, h('span', {}, label), h('span.muted', {}, text)), meter);
}

/** Values from 0 to 1, the newest on the right. */
function spark(values, label) {
  const points = values.map((value, i) => `${(KEPT - values.length + i + 0.5) * 2},${39 - 38 * Math.min(1, value)}`);
  return svg(
    'svg',
    { class: 'spark', viewBox: `0 0 ${KEPT * 2} 40`, preserveAspectRatio: 'none', role: 'img', 'aria-label': label },
    svg('polyline', { points: points.join(' ') }),
  );
}
